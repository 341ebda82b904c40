"""Which Prefect API this process talks to, whether it may carry secrets, and whether it answers.

An open Prefect server shows run parameters, logs and block contents to everybody who can reach it: its defaults have no
authentication (measured on Prefect 3.9.1; its maintainers leave securing a server to its operator). So GDA uses an API
beyond this machine only when it asks for credentials.
"""

import asyncio
from urllib.parse import urlsplit

from gda.errors import Unavailable
from gda.loopback import leads_to_loopback

_REFUSED = (401, 403)


def api_url() -> str | None:
    """The address of the Prefect API, from ``PREFECT_API_URL`` or the active profile; None when none is set."""
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def require_private_api(url: str | None = None) -> None:
    """Refuse a Prefect API that others may read: secrets are not given to it and jobs do not run against it.

    Args:
        url: the API's address; the configured one when not given. None configured means a server inside this process.

    Raises:
        Unavailable: the API is beyond loopback and no credentials for it are set.
    """
    url = url or api_url()
    if url and not leads_to_loopback(urlsplit(url).hostname or "") and not _has_credentials():
        raise Unavailable(
            f"the Prefect API at {_shown(url)} is beyond this machine and used without authentication, so others could "
            "read what GDA gives it: set PREFECT_SERVER_API_AUTH_STRING on the server and PREFECT_API_AUTH_STRING here "
            "(or PREFECT_API_KEY for Prefect Cloud)"
        )


async def require_closed_api(timeout: float = 5) -> None:
    """As :func:`require_private_api`, and make sure that an API beyond loopback really turns strangers away.

    Args:
        timeout: seconds for its answer.

    Raises:
        Unavailable: the API may be read without credentials, or does not answer.
    """
    url = api_url()
    await asyncio.to_thread(require_private_api, url)
    if not url or await asyncio.to_thread(leads_to_loopback, urlsplit(url).hostname or ""):
        return
    status = await _status_for_strangers(f"{url.rstrip('/')}/block_types/filter", timeout)
    if status not in _REFUSED:
        raise Unavailable(
            f"the Prefect API at {_shown(url)} answers without credentials (status {status}), so others could read "
            "GDA's secrets there: set PREFECT_SERVER_API_AUTH_STRING where the server runs, then try again"
        )


async def reachable(timeout: float = 5) -> None:
    """Make sure that the configured Prefect API answers.

    Args:
        timeout: seconds to wait for it.

    Raises:
        Unavailable: it does not, or no address is set.
    """
    from prefect.client.orchestration import get_client

    url = api_url()
    if not url:
        raise Unavailable("no Prefect API is set: start one with `gda up`, or set PREFECT_API_URL to where one runs")
    reason: object = f"no answer within {timeout:g} s"
    try:
        async with asyncio.timeout(timeout), get_client() as client:
            reason = await client.api_healthcheck()
    except TimeoutError:
        pass
    except Exception as error:
        reason = type(error).__name__
    if reason is not None:
        shown = type(reason).__name__ if isinstance(reason, Exception) else reason
        raise Unavailable(
            f"the Prefect API at {_shown(url)} cannot be reached ({shown}): start it with `gda up`, or set "
            "PREFECT_API_URL to where it runs"
        )


def _has_credentials() -> bool:
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    headers = {name.lower() for name in settings.client.custom_headers}
    return bool(settings.api.key or settings.api.auth_string or "authorization" in headers)


async def _status_for_strangers(url: str, timeout: float) -> int:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=timeout) as stranger:
            return (await stranger.post(url, json={"limit": 1})).status_code
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the Prefect API at {_shown(url)} cannot be reached ({type(error).__name__}): check PREFECT_API_URL"
        ) from error


def _shown(url: str) -> str:
    """The address without credentials that somebody may have written into it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
