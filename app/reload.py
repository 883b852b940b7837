"""The application in the process that ``just serve`` starts anew after each change."""

import os
import signal
import time
from itertools import takewhile
from threading import Thread

import psutil
from fastapi import FastAPI

from app.main import create_app


def create_app_that_follows() -> FastAPI:
    """Build the application, and stop it once the commands that started it are gone.

    So nobody who was killed leaves behind a server that keeps the port.
    """
    reloader, *above = psutil.Process().parents()
    launchers = takewhile(lambda process: process.name() in {"uv", "just"}, above)
    Thread(target=_follow, args=[reloader, *launchers], daemon=True).start()
    return create_app()


def _follow(reloader: psutil.Process, *launchers: psutil.Process) -> None:
    while reloader.is_running() and all(launcher.is_running() for launcher in launchers):
        time.sleep(0.5)
    if reloader.is_running():
        reloader.terminate()
    else:
        os.kill(os.getpid(), signal.SIGTERM)
