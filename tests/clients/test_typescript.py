"""TypeScript clients that are generated from openapi.json compile, and talk to the server."""

import fcntl
import json
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.support import courses
from tests.support.document import WITH_EXAMPLE
from tests.support.node import install
from tests.support.readme import block
from tests.support.repository import ROOT
from tests.support.server import Server
from tests.support.typescript import PACKAGES, Outcome, run

# The first run installs npm packages.
pytestmark = [pytest.mark.plain, pytest.mark.timeout(600)]

DOCUMENT = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
SCHEMAS = DOCUMENT["components"]["schemas"]
SECTION = "Generating a TypeScript client"
OUTCOMES = "outcomes.json"
PROGRAMS = ["hey-api", "openapi-fetch", "orval"]
OF_COURSES = {
    **WITH_EXAMPLE,
    "paths": {path: item for path, item in WITH_EXAMPLE["paths"].items() if courses.NAME in path},
}
"""The document of the types of fields that openapi.json lacks."""

# Where each generator writes its types.
TYPES = {
    "hey-api": "hey-api/types.gen.ts",
    "openapi-typescript": "openapi-typescript.ts",
    "orval": "orval/api.schemas.ts",
}


@dataclass
class Workshop:
    """A folder with generated clients and programs that use them, and how they were made."""

    folder: Path
    outcomes: dict[str, Outcome]

    def generated(self, file: str) -> str:
        """Return the text of a generated file."""
        return (self.folder / "generated" / file).read_text(encoding="utf-8")


def properties(types: str, name: str) -> dict[str, bool]:
    """Read a type's properties, and whether each may be left out."""
    opening = rf"^(?P<indent> *)(?:export (?:type|interface) )?{name}(?: =|:)? \{{$"
    body = re.search(rf"{opening}\n(.*?)^(?P=indent)\}}", types, re.MULTILINE | re.DOTALL)
    assert body, f"no type {name}"
    found = re.findall(r"^ *'?\"?(\w+)'?\"?(\??): ", body[2], re.MULTILINE)
    return {field: mark == "?" for field, mark in found}


def source(program: str) -> str:
    """Return the text of a program."""
    return (PACKAGES / f"{program}.ts").read_text(encoding="utf-8")


def make(work: Path) -> None:
    """Generate all clients, check the types of the programs, and bundle them as for a browser."""
    install(PACKAGES)
    for file in [*PACKAGES.glob("*.ts"), PACKAGES / "tsconfig.json", ROOT / "openapi.json"]:
        shutil.copy(file, work)
    (work / "courses.json").write_text(json.dumps(OF_COURSES))
    (work / "node_modules").symlink_to(PACKAGES / "node_modules")
    (work / "readme.ts").write_text(block(SECTION, "ts").replace('"./api', '"./generated/hey-api'))

    just = block(SECTION, "bash").replace("../frontend/src/api", str(work / "generated/hey-api"))
    here = {"UV_PROJECT_ENVIRONMENT": sys.prefix, "UV_NO_SYNC": "1"}
    types = TYPES["openapi-typescript"]
    hey_api = [f"--file={PACKAGES / 'hey-api.config.ts'}", "--no-log-file", "--input=courses.json"]
    bundle = ["--bundle", "--format=esm", "--platform=node", "--outdir=."]
    bundle += [
        "--out-extension:.js=.mjs",
        *(f"{name}.ts" for name in [*PROGRAMS, "courses", "readme"]),
    ]
    with ThreadPoolExecutor() as threads:
        tasks = {
            "hey-api": threads.submit(run, ["bash", "-euc", just], ROOT, **here),
            "openapi-typescript": threads.submit(
                run, ["openapi-typescript", "openapi.json", f"--output=generated/{types}"], work
            ),
            "hey-api of courses": threads.submit(
                run, ["openapi-ts", *hey_api, "--output=generated/courses/hey-api"], work
            ),
            "openapi-typescript of courses": threads.submit(
                run,
                ["openapi-typescript", "courses.json", f"--output=generated/courses/{types}"],
                work,
            ),
            "orval": threads.submit(run, ["orval", "--fail-on-warnings"], work),
        }
        wait(tasks.values())
        tasks["tsc"] = threads.submit(run, ["tsc"], work)
        tasks["esbuild"] = threads.submit(run, ["esbuild", *bundle], work)
        outcomes = {name: asdict(task.result()) for name, task in tasks.items()}
    (work / OUTCOMES).write_text(json.dumps(outcomes))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The clients and programs, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    work = base / "typescript"
    work.mkdir(exist_ok=True)
    outcomes = work / OUTCOMES
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcomes.exists():
            make(work)
    made = json.loads(outcomes.read_text())
    return Workshop(work, {name: Outcome(**outcome) for name, outcome in made.items()})


@pytest.mark.parametrize(
    "generator", [*TYPES, "hey-api of courses", "openapi-typescript of courses"]
)
def test_client_generators_have_nothing_to_complain_about(
    workshop: Workshop, generator: str
) -> None:
    outcome = workshop.outcomes[generator]
    assert (outcome.status, outcome.errors) == (0, ""), outcome.output
    output = outcome.output.replace(str(ROOT), "").replace(str(workshop.folder), "")
    assert not re.search("warn|error|deprecated|unsupported", output, re.IGNORECASE)


def test_typescript_clients_and_programs_have_no_type_errors(workshop: Workshop) -> None:
    outcome = workshop.outcomes["tsc"]
    assert (outcome.status, outcome.output, outcome.errors) == (0, "", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_typescript_programs_need_no_cast(program: str) -> None:
    code = re.sub(r'//.*|"[^"\n]*"', "", source(program))
    assert re.findall(r"\b(?:any|unknown|as)\b|@ts-|!\.|<\w+>\w", code) == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_typescript_programs_call_each_operation(program: str) -> None:
    calls = set(re.findall(r'await (\w+)\((?:"(/.*?)")?', source(program)))
    assert calls == {
        (method.upper(), path) if program == "openapi-fetch" else (operation["operationId"], "")
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if operation["tags"] == ["tasks"]
    }


@pytest.mark.parametrize("program", [*PROGRAMS, "courses"])
def test_typescript_programs_run(
    workshop: Workshop, server: Server, owner: str, program: str
) -> None:
    bundled = workshop.outcomes["esbuild"]
    assert bundled.status == 0, bundled.errors

    settings = {"API_URL": server.url, "OWNER": owner}
    done = run(["node", f"{program}.mjs"], workshop.folder, **settings)
    assert (done.status, done.output, done.errors) == (0, "", "")


def test_the_typescript_of_the_readme_works(workshop: Workshop, server: Server, owner: str) -> None:
    bundled = (workshop.folder / "readme.mjs").read_text(encoding="utf-8")
    here = bundled.replace("http://127.0.0.1:8000", server.url).replace('"alice"', f'"{owner}"')
    (workshop.folder / f"{owner}.mjs").write_text(here, encoding="utf-8")

    done = run(["node", f"{owner}.mjs"], workshop.folder)
    assert (done.status, done.errors) == (0, "")
    assert done.output == "Buy milk\n422 /body/title\n"


def test_generated_functions_are_called_as_the_operations_are(workshop: Workshop) -> None:
    hey_api = re.findall(
        r"^export const (\w+)", workshop.generated("hey-api/sdk.gen.ts"), re.MULTILINE
    )
    orval = re.findall(
        r"^export const (\w+) = async", workshop.generated("orval/api.ts"), re.MULTILINE
    )

    assert set(hey_api) == set(orval) == set(OPERATIONS)
    assert {"createTask", "listTasks", "getTask", "updateTask", "deleteTask", "toggleTask"} <= set(
        OPERATIONS
    )


@pytest.mark.parametrize("generator", TYPES)
def test_each_schema_is_one_typescript_type(workshop: Workshop, generator: str) -> None:
    types = workshop.generated(TYPES[generator])
    for name, schema in SCHEMAS.items():
        if "enum" in schema:
            assert re.search(rf"\b{name}\b", types)
        else:
            assert set(properties(types, name)) == set(schema["properties"])
    assert [name for name in SCHEMAS if name.endswith(("Input", "Output"))] == []


@pytest.mark.parametrize("generator", TYPES)
def test_a_typescript_client_may_leave_out_what_the_server_fills_in(
    workshop: Workshop, generator: str
) -> None:
    references = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for operation in OPERATIONS.values()
        if "requestBody" in operation
    ]
    for name in (reference.rpartition("/")[2] for reference in references):
        schema = SCHEMAS[name]
        assert properties(workshop.generated(TYPES[generator]), name) == {
            field: field not in schema.get("required", []) for field in schema["properties"]
        }
    assert SCHEMAS["TaskCreate"]["required"] == ["title"]
