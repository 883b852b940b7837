"""Logs, on standard error: a JSON object a line, or text where somebody reads along."""

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import structlog

_PLAIN = {str, int, float, bool, type(None)}


def configure(level: str) -> None:
    """Write all logs in one form: the application's and uvicorn's, and warnings of libraries.

    A program that has configured the root logger already keeps its way for the libraries' logs.

    Args:
        level: the name of the least important level that is written, such as ``INFO``.
    """
    common: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    exceptions = structlog.processors.format_exc_info
    render: Any = structlog.processors.JSONRenderer(_json)
    factory: Any = structlog.BytesLoggerFactory(sys.stderr.buffer)
    if sys.stderr.isatty():
        render, factory = structlog.dev.ConsoleRenderer(), structlog.WriteLoggerFactory(sys.stderr)
    structlog.configure(
        processors=[*common, exceptions, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    without_meta: Any = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, structlog.stdlib.add_logger_name],
            processors=[without_meta, exceptions, render, _text],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("uvicorn").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        # It logs each request, with its query string. See app/kit/api/envelope.py.
        logger.propagate = name != "uvicorn.access"


def _json(event: dict[str, Any], default: Callable[[Any], Any]) -> bytes:
    """Return JSON, of plain values in a tenth of the time that `json` takes.

    Of others msgspec writes more than their ``repr``: each field of a dataclass, say.
    """
    if all(type(value) in _PLAIN for value in event.values()):
        with suppress(UnicodeEncodeError):  # half of a surrogate pair
            return msgspec.json.encode(event)
    return json.dumps(event, default=default).encode()


def _text(_logger: object, _method: str, line: Any) -> str:  # noqa: ANN401 - text or its bytes
    return line.decode() if isinstance(line, bytes) else str(line)
