"""Everything that can go wrong and that a caller may want to tell apart.

    GdaError
    ├── UsageError              bad input from a person or a caller: one sentence, exit code 2, nothing written
    │   ├── InvalidSchedule     an expression, slot or timezone that breaks a rule
    │   ├── UnknownUser
    │   ├── UnknownKind
    │   ├── UnknownOccurrence
    │   ├── UnknownTodo         a to-do or one of its reminders
    │   └── AlreadyExists
    ├── Unavailable             a server, port or file GDA needs is not there: say which and what to do
    │   └── SchemaOutOfDate     the database is older or newer than this code
    ├── ClaimLost               somebody else holds the occurrence now; the late write was refused
    ├── NotLeader               another instance holds the named lease of this work
    ├── ShuttingDown            the worker was asked to stop; what was not done is handed back unburnt
    ├── InDoubt                 an effect may or may not have happened; ask before doing it again
    │   └── Unverifiable        and nobody can be asked: a person decides
    └── ProviderError           what Google or a mail server answered, classified once (DESIGN 8)
        ├── Transient           try again, not before ``retry_after``
        │   └── QuotaExceeded
        ├── NeedsConsent        the user must grant access again
        ├── Gone                the thing asked for no longer exists
        └── Permanent           trying again cannot help
            └── ClientRefused   GDA's own client is refused: the operator's matter, for every user alike

A duplicate, a skip and a retry are values, not errors.
"""

from datetime import timedelta


class GdaError(Exception):
    """The one base class of GDA's own errors."""


class UsageError(GdaError):
    """Bad input: the message names the value, the rule and what to do next."""


class InvalidSchedule(UsageError):
    """A schedule expression, a slot or a timezone breaks a rule of the schedule language."""


class UnknownUser(UsageError):
    """No such user."""


class UnknownKind(UsageError):
    """No job type of that kind is registered."""


class UnknownOccurrence(UsageError):
    """No such occurrence."""


class UnknownTodo(UsageError):
    """No such to-do, or no such reminder of one."""


class AlreadyExists(UsageError):
    """A row with that name is there already."""


class Unavailable(GdaError):
    """A server, port, folder or database that GDA needs cannot be used now."""


class SchemaOutOfDate(Unavailable):
    """The database's schema differs from the one this code was written for."""


class ClaimLost(GdaError):
    """The lease passed to somebody else; the late write was refused."""


class NotLeader(GdaError):
    """Another instance holds the named lease; it does the work."""


class ShuttingDown(GdaError):
    """The worker is stopping; unfinished occurrences are handed back without burning an attempt."""


class InDoubt(GdaError):
    """An outward action may or may not have happened; the provider must be asked before it is repeated."""


class Occupied(GdaError):
    """Another process is at what this one needs first; asking again after ``wait`` burns no attempt."""

    def __init__(self, message: str, wait: timedelta) -> None:
        super().__init__(message)
        self.wait = wait


class Unverifiable(InDoubt):
    """An outward action may or may not have happened, and nobody can be asked: only a person may repeat it."""


class ProviderError(GdaError):
    """A provider refused or failed; subclasses say whether trying again can help.

    The text never holds a token, an address or mail content, only the status, Google's reason code and the end point.
    """


class Transient(ProviderError):
    """Trying again may help, but not before ``retry_after`` (None: the caller's own backoff decides)."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(Transient):
    """A rate or quota limit was hit."""


class NeedsConsent(ProviderError):
    """The user's grant is dead (revoked, expired, password changed); only new consent helps."""


class Gone(ProviderError):
    """The message, history or sync token asked for no longer exists."""


class Permanent(ProviderError):
    """Trying again cannot help."""


class ClientRefused(Permanent):
    """The provider refuses GDA's own OAuth client; no user can do anything about it, and none has to consent again."""
