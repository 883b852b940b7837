"""Authentication replaces one dependency, as the README shows, and all else follows."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import URL

from tests.support.copies import copied, follow
from tests.support.node import install
from tests.support.problems import assert_problem
from tests.support.process import Process, serving
from tests.support.readme import block
from tests.support.repository import ROOT
from tests.support.tasks import TASKS
from tests.support.typescript import run

# The first run installs npm packages.
pytestmark = [pytest.mark.plain, pytest.mark.timeout(600)]

KEY = secrets.token_hex(32)
SOON = time.time() + 3600


@pytest.fixture(scope="module")
def authenticated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with authentication."""
    folder = copied(tmp_path_factory.mktemp("authenticated"))
    follow("Authentication in the tests", folder)
    follow("Adding authentication", folder)
    for packages in ("tests/clients/openapi", "tests/clients/typescript"):
        install(ROOT / packages)
        (folder / packages / "node_modules").symlink_to(ROOT / packages / "node_modules")
    return folder


@pytest.fixture(scope="module")
def process(authenticated: Path, database: URL) -> Iterator[Process]:
    """The API with authentication."""
    url = database.render_as_string(hide_password=False)
    here = {"PYTHONPATH": str(authenticated), "DATABASE_URL": url, "JWT_KEY": KEY}
    with serving([sys.executable, "-m", "app"], authenticated, **here) as process:
        yield process


def token(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """A token that is good but for what is given."""
    good = {"sub": "alice", "exp": SOON}
    present = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode(present, key, algorithm)


BAD = {
    "none": "",
    "no token": "Bearer",
    "another scheme": f"Basic {token()}",
    "nonsense": "Bearer nonsense",
    "no ASCII": "Bearer é",
    "another key": f"Bearer {token(secrets.token_hex(32))}",
    "another algorithm": f"Bearer {token(algorithm='HS512')}",
    "no algorithm": f"Bearer {token('', 'none')}",
    "expired": f"Bearer {token(exp=SOON - 7200)}",
    "without an end": f"Bearer {token(exp=None)}",
    "of nobody": f"Bearer {token(sub=None)}",
    "of somebody without a name": f"Bearer {token(sub='')}",
    "of a name too long": f"Bearer {token(sub='x' * 256)}",
    "of a name with NUL": f"Bearer {token(sub='a' + chr(0))}",
    "for others": f"Bearer {token(aud='others')}",
}


def test_a_token_says_who_is_asking_and_nothing_else_does(process: Process, owner: str) -> None:
    url = f"{process.url}{TASKS}"
    mine = {"Authorization": f"Bearer {token(sub=owner)}"}
    assert httpx.post(url, headers=mine, json={"title": "mine"}).status_code == 201
    assert [task["title"] for task in httpx.get(url, headers=mine).json()["items"]] == ["mine"]

    for name, value in BAD.items():
        headers = {b"Authorization": value.encode("latin-1"), b"X-User-ID": owner.encode()}
        response = httpx.get(url, headers=headers)
        assert_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer", name


def test_the_document_and_a_generated_client_follow_authentication(
    process: Process, authenticated: Path, owner: str
) -> None:
    document = json.loads((authenticated / "openapi.json").read_text(encoding="utf-8"))
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["security"] == [{"HTTPBearer": []}]
            challenge = operation["responses"]["401"]["headers"]["WWW-Authenticate"]
            assert challenge["schema"]["const"] == "Bearer"

    client = authenticated / "tests/clients/typescript"
    lint = [sys.executable, "-m", "tests.clients.openapi.lint"]
    generate = [sys.executable, "-m", "tests.clients.typescript.client", "api"]
    bundle = ["esbuild", "readme.ts", "--bundle", "--format=esm", "--outfile=readme.mjs"]
    program = block("Generating a TypeScript client", "ts").replace(
        "http://127.0.0.1:8000", process.url
    )
    (client / "readme.ts").write_text(program.replace('"alice"', f'"{token(sub=owner)}"'))
    for command in (lint, generate, bundle, ["node", "readme.mjs"]):
        done = run(command, client, PYTHONPATH=str(authenticated))
        assert done.status == 0, done.output + done.errors
    assert done.output == "Buy milk\n422 /body/title\n"


def test_the_owner_matrix_holds_with_authentication(authenticated: Path) -> None:
    matrix = ["tests/ownership/test_owner_matrix.py", "-k=not pooled and not partitioned"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", *matrix],
        cwd=authenticated,
        env={**os.environ, "JWT_KEY": KEY},
        check=True,
    )
