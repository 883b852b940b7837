"""URLs of PostgreSQL, read as libpq reads them."""

import re
from typing import Annotated
from urllib.parse import parse_qsl

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo
from pydantic import BeforeValidator
from sqlalchemy import URL
from sqlalchemy.exc import ArgumentError

from app.kit.db.compiled import DIALECT

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
# libpq takes what is behind the first @ for the host, even if it is a part of the password.
_REST = re.compile(r"(?:[^@/#]*@)?[^@#?]*(?:\?(?P<options>[^@#]*))?")


def _postgresql_url(value: str | URL) -> URL:
    """Return a SQLAlchemy URL for psycopg. Errors never repeat the value: it has a password.

    Its host and port are options, where SQLAlchemy takes several of them.
    """
    text = value.render_as_string(hide_password=False) if isinstance(value, URL) else value.strip()
    if text.startswith(("psql", "'", '"')):
        raise ValueError("has quotes or psql around the URL: give the URL alone")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError("is not a URL, such as postgresql://user:password@host/database")
    if scheme not in _SCHEMES:
        raise ValueError("is not a PostgreSQL URL: it must start with postgresql://")
    parts = _REST.fullmatch(rest)
    if parts is None:
        raise ValueError(
            "has an @, # or / that must be escaped, perhaps in the password: write %40, %23 or %2F"
        )
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    given = parse_qsl(parts["options"] or "", keep_blank_values=True)
    if unknown := [name for name, _ in given if name not in known]:
        raise ValueError(f"has options that libpq does not know: {', '.join(unknown)}")
    try:
        parsed = conninfo_to_dict(f"postgresql://{rest.replace(' ', '%20')}")
        options = {name: str(value) for name, value in parsed.items()}
        user, password = options.pop("user", None), options.pop("password", None)
        database = options.pop("dbname", None)
        url = URL.create("postgresql+psycopg", user, password, database=database, query=options)
        DIALECT.create_connect_args(url)  # it checks the ports
    except (ArgumentError, ProgrammingError, ValueError):
        raise ValueError(
            "is not a URL that libpq can read: a port is not a number, or a % is not written as %25"
        ) from None
    return url


PostgreSQLURL = Annotated[URL, BeforeValidator(_postgresql_url)]
