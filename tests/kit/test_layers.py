"""The folders say what may import what: the application the kit, and api db, and db models."""

import ast
from pathlib import Path

import pytest

from tests.support.repository import ROOT

KIT = "app.kit"
ALLOWED = {
    "app/kit": {KIT},
    "app/kit/models": {f"{KIT}.models"},
    "app/kit/db": {f"{KIT}.models", f"{KIT}.db"},
    "app/models": {KIT},
}
PRODUCTION = [
    path
    for path in (ROOT / "app").rglob("*.py")
    if not path.is_relative_to(ROOT / "app/development")
]
WITHOUT = {
    "app/kit/models": {"psycopg", "fastapi", "starlette", "alembic"},
    "app/kit/db": {"fastapi", "starlette"},
    "app/kit/api": {"psycopg", "fastcrud", "alembic", "sqlalchemy", "sqlmodel"},
}


def imported(path: Path) -> set[str]:
    """The modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(module: str, packages: set[str]) -> bool:
    """Tell whether a module is one of some packages, or in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_is_below_it(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        ours = {module for module in imported(path) if is_within(module, {"app"})}
        assert {m for m in ours if not is_within(m, ALLOWED[folder])} == set(), path


@pytest.mark.parametrize("folder", WITHOUT)
def test_a_folder_keeps_to_its_job(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert {m for m in imported(path) if is_within(m, WITHOUT[folder])} == set(), path


def test_production_imports_nothing_of_development() -> None:
    for path in PRODUCTION:
        assert not any(is_within(module, {"app.development"}) for module in imported(path)), path
