"""What the application logs, in the process of the tests."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

Logs = list[MutableMapping[str, Any]]


@contextmanager
def captured() -> Iterator[Logs]:
    """Give what is logged from here on, instead of writing it."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
    ]
    with structlog.testing.capture_logs(processors) as entries:
        yield entries
