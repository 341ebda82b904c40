"""Every setting of GDA, from ``GDA_*`` environment variables and ``.env``, with its default in sight.

Precedence is argument, block, environment, default: ``Settings(**values)`` lays values from blocks (see ``blocks/``)
or arguments over the environment. Secrets are ``SecretStr``: their text forms are masked.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MailSecurity = Literal["none", "starttls", "tls"]
Layout = Literal["user", "cohort"]

PLAIN_NAME = re.compile(r"(?!pg_)[a-z][a-z0-9_]{0,62}")
"""A PostgreSQL schema that need not be quoted anywhere; names that begin with pg_ are the server's own."""
LIMIT = re.compile(r"[a-z][a-z0-9-]*=[1-9][0-9]{0,3}")
"""One of ``GDA_LIMITS``: a kind and how many."""


class Settings(BaseSettings):
    """GDA's settings; durations are in seconds and say so in their names."""

    model_config = SettingsConfigDict(
        env_prefix="GDA_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True
    )

    home: Path = Field(Path(".gda"), description="State folder, mode 0700.")
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL with an async driver; default: a file in home."
    )
    database_schema: str = Field(
        "", description="PostgreSQL schema of GDA's tables, made by `gda db upgrade`; default: the server's own choice."
    )
    keys: SecretStr | None = Field(
        None, description="Fernet keys, comma-separated, newest first; default: the file home/keys."
    )

    concurrency: int = Field(64, ge=1, le=1000, description="Occurrences performed at once in one flow run.")
    claim_size: int = Field(128, ge=1, le=1000, description="Occurrences claimed in one statement.")
    shard_size: int = Field(
        2500, ge=1, description="A wake-up that finds more occurrences asks for further runs to share them."
    )
    shard_runs: int = Field(3, ge=0, le=100, description="Further runs asked for at most.")
    crowd: int = Field(
        1000, ge=0, description="A wake-up that finds more lets kinds such as digests share Prefect task runs."
    )
    early_seconds: int = Field(90, ge=0, le=600, description="How early a wake-up may come and wait for its slot.")
    lease_seconds: int = Field(60, ge=2, description="How long a claim lasts without renewal.")
    lease_refresh_seconds: float = Field(15, gt=0, description="How often a live worker renews its leases.")
    memory_limit_mebibytes: int = Field(
        0, ge=0, description="A flow run that holds more memory ends itself and its work is taken over; 0: no limit."
    )
    timeout_seconds: int = Field(300, ge=1, description="How long one attempt may take.")
    retry_attempts: int = Field(10, ge=1, description="Attempts before an occurrence is dead.")
    retry_delay_seconds: float = Field(30, gt=0, description="Base of the exponential backoff.")
    retry_multiplier: float = Field(2, ge=1, description="Growth of the backoff per attempt.")
    retry_max_delay_seconds: float = Field(3600, gt=0, description="Cap of the backoff.")
    run_retries: int = Field(2, ge=0, le=2, description="Prefect task retries inside one flow run.")

    google_client_id: str = Field("", description="OAuth client of the installed app.")
    google_client_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    google_auth_url: str = Field(
        "https://accounts.google.com/o/oauth2/v2/auth", description="Where `gda connect` sends the browser."
    )
    google_token_url: str = "https://oauth2.googleapis.com/token"
    google_api_url: str = Field(
        "https://gmail.googleapis.com", description="Base of Gmail v1 and of its batch end point."
    )
    google_batch_size: int = Field(50, ge=1, le=100, description="Calls per batch request; Google advises at most 50.")
    google_timeout_seconds: float = Field(20, gt=0)
    google_connections: int = Field(
        16, ge=1, description="HTTP connections per process; more cost CPU and rarely help."
    )

    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: MailSecurity = "starttls"
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_timeout_seconds: float = Field(30, gt=0)
    smtp_connections: int = Field(8, ge=1, description="SMTP connections kept open per process.")
    smtp_idle_seconds: float = Field(10, gt=0, description="A connection idle for longer is opened anew.")
    mail_from: str = Field("GDA digest <digest@gda.invalid>", description="Sender of digests.")
    mail_settling_seconds: int = Field(
        1800,
        ge=0,
        description="After this a mail that cannot be found counts as not sent (sandbox 30, Gmail 300, relay 1800).",
    )

    digest_first_window_hours: int = Field(24, ge=1, description="How far the first digest looks back.")
    digest_overlap_minutes: int = Field(
        120, ge=0, description="How far a digest looks back behind its cursor for mail that the index showed late."
    )
    digest_max_messages: int = Field(500, ge=1, description="Messages listed in one digest; the rest is counted.")
    digest_drain_cron: str = Field(
        "*/5 * * * *", description="When the drain looks for digests that are due and unserved, in UTC."
    )
    digest_drain_enabled: bool = Field(True, description="Whether the drain of digests runs by itself.")

    recurring_tasks_cron: str = Field(
        "*/5 * * * *", description="When completed to-dos that repeat are followed by their next, in UTC."
    )
    recurring_tasks_enabled: bool = Field(True, description="Whether that happens by itself.")
    overdue_scan_cron: str = Field("*/15 * * * *", description="When to-dos past due are marked as overdue, in UTC.")
    overdue_scan_enabled: bool = Field(True, description="Whether that happens by itself.")
    overdue_notify: bool = Field(True, description="Whether a to-do that becomes overdue is written into the inbox.")
    token_refresh_cron: str = Field("*/10 * * * *", description="When tokens that soon expire are refreshed, in UTC.")
    token_refresh_enabled: bool = Field(True, description="Whether that happens by itself.")
    reminders_cron: str = Field("* * * * *", description="When reminders that are due are sent, in UTC.")
    reminders_enabled: bool = Field(True, description="Whether that happens by itself.")
    reminder_late_seconds: int = Field(300, ge=0, description="A reminder sent so long after its time says it is late.")
    reminder_expire_seconds: int = Field(86_400, ge=1, description="One that is later than this is not sent any more.")
    notify_mail: bool = Field(True, description="Whether reminders are mailed, beside what lies in the inbox.")
    notify_timeout_seconds: float = Field(10, gt=0, description="How long a chat or a push service may take to answer.")
    push_key: SecretStr = Field(
        SecretStr(""), description="Private key of Web Push (`gda notifications push-key` makes one); none: no pushes."
    )
    push_contact: str = Field(
        "mailto:digest@gda.invalid", description="Whom a push service may turn to, as mailto: or https:."
    )
    push_ttl_seconds: int = Field(86_400, ge=0, description="How long a push service keeps what a browser is away for.")

    sweep_cron: str = Field("* * * * *", description="When the sweep looks for what was lost or left, in UTC.")
    sweep_enabled: bool = Field(True, description="Whether the sweep runs by itself.")
    sweep_grace_seconds: int = Field(
        120, ge=0, description="How long a due slot may stay unserved before the sweep takes it for missed."
    )
    apply_cron: str = Field("37 3 * * *", description="When deployments are brought in line by themselves, in UTC.")
    apply_enabled: bool = Field(True, description="Whether deployments are brought in line each night.")
    retention_cron: str = Field("17 3 * * *", description="When old rows are pruned, in UTC.")
    retention_enabled: bool = Field(True, description="Whether old rows are pruned by themselves.")
    retention_days: int = Field(30, ge=1, description="How long settled occurrences are kept.")
    dead_letter_retention_days: int = Field(7, ge=1, description="How long closed dead letters are kept.")
    dead_letter_notify: str = Field(
        "", description="Prefect notification block told of dead letters, as type/name (slack-webhook/ops)."
    )
    instance_id: str = Field("", max_length=64, description="This instance's name in leases; default host and process.")
    single_instance: bool = Field(False, description="Whether this is the only instance, so that named leases are its.")

    prefect_pool: str = "gda"
    prefect_pool_limit: int = Field(4, ge=1, description="Flow runs at once in the pool.")
    limits: str = Field(
        "", description="Flow runs of a kind at once in all pools together, as kind=number, comma-separated: digest=2."
    )
    limit_wait_seconds: float = Field(
        60, ge=0, description="How long a flow run waits for its turn under such a limit; then it works all the same."
    )
    layout: Layout = Field(
        "user", description="How schedules become deployments: one per user and kind, or one for all of one time."
    )
    max_cohorts: int = Field(500, ge=1, description="Cohorts with a deployment of their own; the rest share a tick.")
    max_runs_per_day: int = Field(96, ge=1, description="Most runs a day that a user's schedule may ask for.")

    @model_validator(mode="after")
    def _refresh_fits_into_lease(self) -> Self:
        if self.lease_refresh_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"GDA_LEASE_REFRESH_SECONDS={self.lease_refresh_seconds} must be at most half of "
                f"GDA_LEASE_SECONDS={self.lease_seconds}, else a live worker loses its claims"
            )
        return self

    @model_validator(mode="after")
    def _schema_is_a_plain_name(self) -> Self:
        name, on_sqlite = self.database_schema, "postgresql" not in self._scheme
        if name and not PLAIN_NAME.fullmatch(name):
            raise ValueError(
                f"GDA_DATABASE_SCHEMA={name!r} is no plain name: write up to 63 of a-z, 0-9 and _, "
                "first a letter, not pg_"
            )
        if name and on_sqlite:
            raise ValueError(
                f"GDA_DATABASE_SCHEMA={name!r}: only PostgreSQL has schemas; leave it empty or set GDA_DATABASE_URL"
            )
        return self

    @model_validator(mode="after")
    def _limits_can_be_read(self) -> Self:
        wrong = next((one for one in _listed(self.limits) if not LIMIT.fullmatch(one)), None)
        if wrong is not None:
            raise ValueError(
                f"GDA_LIMITS={self.limits!r}: {wrong!r} is no kind=number; write such as digest=2,reminder=1"
            )
        return self

    @property
    def limit_of_kind(self) -> dict[str, int]:
        """How many flow runs of a kind may work at once; kinds without a limit are absent."""
        pairs = (one.partition("=") for one in _listed(self.limits))
        return {kind: int(number) for kind, _, number in pairs}

    @property
    def _scheme(self) -> str:
        return self.database_url.get_secret_value().partition(":")[0] if self.database_url else ""

    @property
    def database(self) -> str:
        """The database's URL, absolute, so that it means the same in every working directory."""
        if self.database_url is not None:
            return _in_schema(self.database_url.get_secret_value(), self.database_schema)
        return f"sqlite+aiosqlite:///{self.home.resolve() / 'gda.db'}"

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _in_schema(url: str, schema: str) -> str:
    # Within the URL it reaches whoever opens the database, on other machines too: the block holds the URL.
    if not schema or "schema=" in url.partition("?")[2]:
        return url
    return f"{url}{'&' if '?' in url else '?'}schema={schema}"


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Args:
        overrides: values that win over the environment, by field name; ``None`` means "not given".

    Returns:
        The frozen settings.

    Raises:
        UsageError: naming each bad value and its variable.
    """
    from pydantic import ValidationError

    from gda.errors import UsageError

    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = "; ".join(_fault(fault["loc"], fault["msg"], fault["input"]) for fault in error.errors())
        raise UsageError(f"bad settings: {faults}") from None


def _fault(where: tuple[int | str, ...], message: str, value: object) -> str:
    reason = message.removeprefix("Value error, ")
    if not where:  # A rule about several settings names them itself; its input is all of them, secrets included.
        return reason
    secret = "Secret" in str(Settings.model_fields[str(where[0])].annotation)
    shown = "" if secret else f"={value!r}"
    return f"GDA_{str(where[0]).upper()}{shown}: {reason}"
