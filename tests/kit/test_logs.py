"""Each line of the log is JSON, whatever somebody logs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ODD = r"""
import dataclasses, logging, structlog
from app.kit.api import logs
logs.configure("INFO")
@dataclasses.dataclass
class Login:
    user: str
    password: str = dataclasses.field(repr=False)
structlog.get_logger().info("odd", half="\ud800", thing=ValueError("no"), login=Login("a", "b"))
structlog.get_logger().info("plain", half="\ud800", number=1.5, nothing=None)
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed", half="\ud800")
    logging.getLogger("library").exception("failed \ud800 too")
structlog.get_logger().debug("unimportant")
"""


@pytest.mark.plain
def test_a_line_is_json_whatever_is_in_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ODD], cwd=ROOT, check=True, capture_output=True, text=True
    )

    odd, plain, failed, library = map(json.loads, done.stderr.splitlines())
    assert (odd["level"], odd["event"], odd["half"]) == ("info", "odd", "\ud800")
    assert odd["thing"] == "ValueError('no')"
    assert odd["login"] == "Login(user='a')"
    assert (plain["half"], plain["number"], plain["nothing"]) == ("\ud800", 1.5, None)
    assert "ZeroDivisionError" in failed["exception"]
    assert (library["logger"], library["event"]) == ("library", "failed \ud800 too")
    assert "ZeroDivisionError" in library["exception"]
