"""The job types GDA brings, one file each."""

DIGEST = "digest"
NOVEL_EVENTS = "novel-events"
RECURRING_TASK = "recurring-task"
OVERDUE_SCAN = "overdue-scan"
REMINDER = "reminder"
TOKEN_REFRESH = "token-refresh"
NOTICE = "notice"

PLACES = {
    DIGEST: "gda.jobs.digest:digest",
    NOVEL_EVENTS: "gda.jobs.novel_events:novel_events",
    RECURRING_TASK: "gda.jobs.recurring:recurring_task",
    OVERDUE_SCAN: "gda.jobs.overdue:overdue_scan",
    REMINDER: "gda.jobs.reminders:reminder",
    TOKEN_REFRESH: "gda.jobs.token_refresh:token_refresh",
    NOTICE: "gda.jobs.notices:notice",
}
"""Where each kind is declared; read when the kind is first used, since its module imports a good deal."""


def kinds() -> tuple[str, ...]:
    """The kinds that GDA brings, by their stable names."""
    return tuple(PLACES)
