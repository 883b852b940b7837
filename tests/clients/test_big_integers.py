"""A generated TypeScript client has numbers for integers of 53 bits, in all that it generates."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from sqlmodel import SQLModel

from app.api.identity import current_owner
from app.kit.api.router import owned_crud_router
from app.kit.models import BigInteger, Owned
from tests.support.migrations import MakeDatabase, migrated
from tests.support.node import install
from tests.support.server import Server, serve
from tests.support.typescript import PACKAGES, run

# The first run installs npm packages.
pytestmark = [pytest.mark.plain, pytest.mark.timeout(600)]

PROGRAM = """
import assert from "node:assert/strict";

import { createPlanet, listPlanets, type PlanetRead } from "./generated";
import { client } from "./generated/client.gen";
import { zListPlanetsQuery, zPlanetCreate, zPlanetRead } from "./generated/zod.gen";

client.setConfig({ baseUrl: process.env["API_URL"]!, auth: "alice" });

const mass = Number.MAX_SAFE_INTEGER;
const body = zPlanetCreate.parse({ mass, age: Number.MIN_SAFE_INTEGER });
const { data: planet } = await createPlanet({ body, throwOnError: true });
const number: number = planet.mass;
assert.equal(number, mass);

const parsed: PlanetRead = zPlanetRead.parse(planet);
assert.deepEqual(parsed, planet);

const query = zListPlanetsQuery.parse({ mass });
const { data: page } = await listPlanets({ query, throwOnError: true });
assert.deepEqual(page.items, [planet]);
const { data: none } = await listPlanets({ query: { mass: mass - 1 }, throwOnError: true });
assert.deepEqual(none.items, []);

assert.equal(zPlanetRead.safeParse({ ...planet, mass: mass + 1 }).success, false);
assert.equal(zPlanetRead.safeParse({ ...planet, mass: "1" }).success, false);
"""


@pytest.fixture
def planets(make_database: MakeDatabase) -> Iterator[Server]:
    """A server with a resource that has integers of 53 bits."""

    class Planet(Owned, table=True):
        filterable: ClassVar[tuple[str, ...]] = ("mass",)

        mass: BigInteger
        age: BigInteger | None = None

    with serve(migrated(make_database())) as server:
        server.app.include_router(
            owned_crud_router(Planet, owner=current_owner, path="/planets"), prefix="/api/v1"
        )
        yield server
    SQLModel.metadata.remove(SQLModel.metadata.tables["planet"])


def test_a_big_integer_is_a_number_in_types_schemas_and_filters(
    planets: Server, tmp_path: Path
) -> None:
    install(PACKAGES)
    (tmp_path / "openapi.json").write_text(json.dumps(planets.app.openapi()))
    (tmp_path / "planets.ts").write_text(PROGRAM)
    shutil.copy(PACKAGES / "tsconfig.json", tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES / "node_modules")
    config = f"--file={PACKAGES / 'hey-api.config.ts'}"
    for command in (
        ["openapi-ts", config, "--no-log-file", "--input=openapi.json", "--output=generated"],
        ["tsc"],
        ["esbuild", "planets.ts", "--bundle", "--format=esm", "--platform=node", "--outfile=p.mjs"],
        ["node", "p.mjs"],
    ):
        done = run(command, tmp_path, API_URL=planets.url)
        assert done.status == 0, done.output + done.errors
