# The commands of this project; `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

# Where uv is not in the PATH, `python3 -m uv run` says where it is.
uv := env("UV", "uv")
run := uv + " run --quiet"

# The database of DATABASE_URL or, if it is not set, the one that `just serve` brings.
database := run + " python -m app.development.database"

# A new database, which is gone afterwards.
scratch := database + " --scratch"

[private]
default:
    @just --list --unsorted

# Serve the API with reload, on a PostgreSQL of its own unless DATABASE_URL is set
serve:
    @{{ run }} python -m app.development

# Run the tests, in parallel and in random order; arguments go to pytest
test *arguments:
    {{ run }} pytest --numprocesses=auto --dist=worksteal "$@"

# Check format, lint, types, dependencies, and openapi.json and migrations against the code
check:
    {{ run }} ruff format --check || (echo "run: uv run ruff format" >&2; exit 1)
    {{ run }} ruff check
    {{ run }} mypy
    {{ run }} deptry .
    {{ run }} python .ci/pins.py --check
    {{ run }} python -m app.development.openapi --check
    {{ run }} python -m tests.clients.openapi.lint
    {{ run }} python -m tests.clients.openapi.breaking
    {{ scratch }} bash -c 'alembic upgrade head && alembic check' || (echo 'the models have changed: run just migration "what changed"' >&2; exit 1)

# Look up all pinned versions at osv.dev, where known vulnerabilities are
audit:
    {{ uv }} audit --preview-features audit-command || (echo "if versions are named: just lock, then just test; else api.osv.dev could not be asked" >&2; exit 1)

# Change the code, one spot at a time, and name what no test notices: just mutants app/kit/api/etags.py
mutants *paths:
    @{{ run }} --group mutants python -m app.development.database --scratch python .ci/mutants.py "$@"

# Fuzz the API, on a server and a database of its own: just fuzz SEED EXAMPLES
fuzz seed="1" examples="250":
    {{ run }} python -m tests.clients.fuzz {{ seed }} {{ examples }}

# Kill the API and PostgreSQL while they write, and look for losses: just chaos SEED SECONDS
chaos seed="1" seconds="60":
    {{ run }} python -m tests.running.chaos {{ seed }} {{ seconds }}

# Measure what requests cost: just bench [compare|scale] [--help]
bench *arguments:
    @{{ run }} python -m benchmarks "$@"

# Write openapi.json
openapi:
    {{ run }} python -m app.development.openapi

# Name what in openapi.json breaks the clients of a revision; by default the last tag
breaking revision="":
    {{ run }} python -m tests.clients.openapi.breaking "$1"

# Generate a TypeScript client of the API: just client ../frontend/src/api
client folder:
    @{{ run }} python -m tests.clients.typescript.client "$1"

# Upgrade the database to the newest migration
migrate:
    {{ database }} alembic upgrade head

# Write a migration for what has changed in the models: just migration "add a due date"
migration message:
    {{ scratch }} bash -c 'alembic upgrade head && alembic revision --autogenerate --message "$0"' "$1"

# Upgrade all dependencies and pin their versions
lock:
    {{ run }} python .ci/pins.py
