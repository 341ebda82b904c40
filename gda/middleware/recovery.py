"""Exception recovery: say what the errors of a foreign library mean, so that they are retried, held or given up."""

from collections.abc import Callable, Mapping

from gda.body import Job, Middleware, Perform
from gda.errors import GdaError
from gda.outcome import Outcome

Meaning = Callable[[Exception], Outcome | GdaError]


def recover(meanings: Mapping[type[Exception], Meaning]) -> Middleware:
    """Middleware that turns what a body raises into an outcome, or into one of GDA's errors with a text that is kept.

    An error that ``meanings`` does not name goes on: the runner retries it and stores its class and places alone.

    Args:
        meanings: what an error of this class (or a subclass; the most special wins) means. The function must not copy
            the error's text where that may quote a secret or content.

    Example::

        recover({stripe.RateLimitError: lambda _: Transient("the payment service is busy", timedelta(seconds=30)),
                 stripe.CardError: lambda _: Fail("the card was refused")})
    """

    async def recovering(job: Job, call_next: Perform) -> Outcome:
        try:
            return await call_next(job)
        except Exception as error:
            named = [each for each in type(error).__mro__ if each in meanings]
            if not named:
                raise
            meaning = meanings[named[0]](error)
            if isinstance(meaning, GdaError):
                raise meaning.with_traceback(error.__traceback__) from None
            return meaning

    return recovering
