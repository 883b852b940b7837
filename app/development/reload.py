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
    while all(map(_is_alive, [reloader, *launchers])):
        time.sleep(0.5)
    if _is_alive(reloader):
        reloader.terminate()  # it stops this process and the database
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
