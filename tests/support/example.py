"""The resource that the README adds, from its very text: it is in each application of the suite."""

import sys
from types import ModuleType

from fastapi import FastAPI

from app.main import ROUTERS
from tests.support.readme import files

FILES = files("Adding a resource")
NAME = "milestones"
IS_SERVED = any(router.name == NAME for router in ROUTERS)
TABLES = set() if IS_SERVED else {"milestone"}
"""The tables that no migration makes."""


def _load(path: str, text: str) -> ModuleType:
    """Import a module from its text."""
    name = path.removesuffix(".py").replace("/", ".")
    if name not in sys.modules:
        module = sys.modules[name] = ModuleType(name)
        exec(compile(text, f"{path} in README.md", "exec"), module.__dict__)
    return sys.modules[name]


MODEL, ROUTER = (_load(path, text) for path, text in FILES.items())


def add_to(app: FastAPI) -> FastAPI:
    """Serve the example too, unless somebody has followed the README and serves it already."""
    if not IS_SERVED:
        app.include_router(ROUTER.router, prefix="/api/v1")
    return app
