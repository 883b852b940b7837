"""The resource that the README adds, from its very text: it is in each application of the suite.

Courses are too, which have the types of fields that it lacks.
"""

import sys
from types import ModuleType

from fastapi import FastAPI

from app.main import ROUTERS
from tests.support import courses
from tests.support.readme import files

FILES = files("Adding a resource")
NAME = "milestones"
IS_SERVED = any(router.name == NAME for router in ROUTERS)
TABLES = {"course"} if IS_SERVED else {"course", "milestone"}
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
    """Serve courses, and the example unless somebody has followed the README and serves it."""
    for router in [courses.ROUTER] if IS_SERVED else [courses.ROUTER, ROUTER.router]:
        app.include_router(router, prefix="/api/v1")
        tag = {"name": router.name, "description": router.description}
        app.openapi_tags = [*(app.openapi_tags or []), tag]
    return app
