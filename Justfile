# The commands of this project. `just` lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

python := "uv run --quiet python"

# Without DATABASE_URL, the commands that need a database use the one that `just serve` uses.
with_database := python + " -m app.db.embedded ${DATA_DIR:-.data}"
with_scratch_database := "scratch=$(mktemp -d); trap 'rm -rf \"$scratch\"' EXIT; unset DATABASE_URL;" + python + " -m app.db.embedded \"$scratch\""

# List the commands.
[private]
default:
    @just --list --unsorted

# Start the API with reload, on a PostgreSQL of its own unless DATABASE_URL is set.
serve:
    @{{ python }} -m app
