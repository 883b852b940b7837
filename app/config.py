"""Every setting: its name, unit and default. Read from the environment, or from ``.env``."""

from ipaddress import ip_network
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.kit.api.origins import Origin
from app.kit.api.proxies import TrustedProxy
from app.kit.db.urls import PostgreSQLURL


def _comma_separated(value: object) -> object:
    """Split what the environment holds as one string."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


NO_DATABASE = (
    "DATABASE_URL is not set: set it to a PostgreSQL URL, or run `just serve`, which brings a"
    " PostgreSQL of its own"
)


class Settings(BaseSettings):
    """The settings of one process of the API."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        arbitrary_types_allowed=True,
        enable_decoding=False,  # of JSON
    )

    database_url: PostgreSQLURL | None = None
    database_url_unpooled: PostgreSQLURL | None = None
    """For migrations, where ``database_url`` leads to a pooler. Default: ``database_url``."""
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 5
    """Connections per process."""
    database_timeout: Annotated[float, Field(gt=0, le=300)] = 5
    """Seconds a request may spend on the database, waiting for a connection included."""
    database_prepared_statements: bool | None = None
    """Whether the server keeps statements. Default: not where the host's name has ``-pooler``."""
    cors_origins: Annotated[tuple[Origin, ...], BeforeValidator(_comma_separated)] = ()
    """Origins whose pages may call the API; ``*`` stands for a part of the first label."""
    trusted_proxies: Annotated[tuple[TrustedProxy, ...], BeforeValidator(_comma_separated)] = (
        ip_network("127.0.0.0/8"),
        ip_network("::1/128"),
    )
    """Networks whose ``X-User-ID`` is believed; ``unix`` is whoever comes by a Unix socket."""
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """The prefix that a proxy removes from each path, such as ``/todo``."""
    docs: bool = True
    """Whether ``/docs`` and ``/openapi.json`` are served."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @property
    def prepared_statements(self) -> bool:
        """Whether the server keeps statements: a pooler may give the next one to another."""
        if self.database_prepared_statements is not None:
            return self.database_prepared_statements
        options = self.database_url.query if self.database_url else {}
        return "-pooler" not in options.get("host", "")


class ServerSettings(BaseSettings):
    """How ``python -m app`` serves, and where ``just serve`` does."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    keep_alive_timeout: Annotated[int, Field(ge=1, le=3600)] = 75
    """Seconds to keep an idle connection. A balancer must close its own before."""
    shutdown_delay: Annotated[float, Field(ge=0, le=300)] = 0
    """Seconds to serve on after SIGTERM, while ``/health/ready`` answers 503."""


SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class SettingsError(Exception):
    """Settings are bad. The message is one line: it names each and says why, not its value."""


def load(kind: type[SettingsT]) -> SettingsT:
    """Read settings from the environment and ``.env``.

    Raises:
        SettingsError: one of them is bad.
    """
    try:
        return kind()
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        lines = [
            f"{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in problems
        ]
        raise SettingsError("; ".join(lines)) from None
