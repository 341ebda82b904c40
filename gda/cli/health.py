"""``gda health``: exit code 0 when all is well, 1 when not."""

from gda.cli.output import Json, show_json, show_rows
from gda.cli.run import has_no_database, settings


async def health(*, json: Json = False) -> int:
    """Say whether the database answers and work is being done; exit code 1 when something is wrong."""
    from gda.health import Check, check_health

    given = settings()
    if has_no_database(given):
        checks = [Check("database and schema", False, "there is no database yet: run `gda db upgrade`")]
    else:
        checks = await check_health(given)
    healthy = all(check.ok for check in checks)
    if json:
        show_json({"healthy": healthy, "checks": checks})
    else:
        show_rows([{"check": one.name, "ok": one.ok, "detail": one.detail} for one in checks], empty="")
    return 0 if healthy else 1
