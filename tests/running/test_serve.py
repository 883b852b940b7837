"""``just serve`` brings a database, keeps its data whatever ends it, and says where things are."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from sqlalchemy import URL

from app.config import Settings, SettingsError, load
from app.development.embedded import embedded_postgres
from tests.support.copies import copied, run
from tests.support.process import ALICE, PROJECT, serving, starting, wait_until
from tests.support.repository import ROOT
from tests.support.tasks import TASKS

pytestmark = pytest.mark.plain

SERVE = [sys.executable, "-m", "app.development"]
LOCKS = {"start.lock", "users.lock"}

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


def just_serve(folder: Path) -> list[str]:
    """``just serve``, in another folder than that of the repository."""
    return ["just", f"--justfile={ROOT / 'Justfile'}", f"--working-directory={folder}", "serve"]


def postgres_of(folder: Path) -> list[psutil.Process]:
    """The processes of the PostgreSQL in a folder."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres"
        and str(folder) in " ".join(process.info["cmdline"] or [])
    ]


def test_data_survives_whatever_ends_the_server(tmp_path: Path) -> None:
    folder = tmp_path / "a folder with a space"
    environment = {"DATA_DIR": str(folder)}

    with serving(just_serve(tmp_path), tmp_path, **environment) as process:
        process.create("before Ctrl-C")
        output = process.end(signal.SIGINT)
    assert f"API       {process.url}/api/v1" in output
    assert f"Docs      {process.url}/docs" in output
    assert "Database  postgresql" in output
    assert postgres_of(folder) == []

    with serving(SERVE, tmp_path, **environment) as process:
        assert process.titles() == ["before Ctrl-C"]
        process.create("before kill -9 of everything")
        for postgres in postgres_of(folder):
            postgres.kill()
        process.end(signal.SIGKILL)

    with serving(SERVE, tmp_path, **environment) as process:
        assert process.titles() == [
            "before kill -9 of everything",
            "before Ctrl-C",
        ]
        process.popen.terminate()
        process.popen.wait(30)
    assert postgres_of(folder) == []


def test_two_servers_run_at_once_on_folders_of_their_own(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 30)
    with (
        starting(SERVE, tmp_path, DATA_DIR=str(tmp_path / "one")) as one,
        starting(SERVE, tmp_path, DATA_DIR=str(long)) as two,
    ):
        one.wait_until_ready("/health/ready")
        two.wait_until_ready("/health/ready")
        one.create("in one")
        two.create("in two")

        assert (one.titles(), two.titles()) == (["in one"], ["in two"])


def test_a_killed_just_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(just_serve(tmp_path), tmp_path, DATA_DIR=str(tmp_path / "data")) as process:
        descendants = psutil.Process(process.popen.pid).children(recursive=True)
        process.popen.kill()
        _, alive = psutil.wait_procs(descendants, timeout=20)

    assert alive == []


def test_a_database_of_ones_own_is_served_instead(database: URL, tmp_path: Path) -> None:
    url = database.render_as_string(hide_password=False)

    mine = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "unused")}
    with serving(SERVE, tmp_path, **mine) as process:
        process.create("in my own database")
        assert process.titles()[0] == "in my own database"
        # No header makes the peer another: the identity is that of loopback, or of nobody.
        forwarded = {**ALICE, "X-Forwarded-For": "192.0.2.1"}
        assert httpx.get(f"{process.url}{TASKS}", headers=forwarded).status_code == 200

    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("program", "environment", "reason"),
    [
        ("app", {}, "DATABASE_URL is not set: set it to a PostgreSQL URL, or run `just serve`, "),
        (
            "uvicorn app.main:app --port=0",
            {"DATABASE_URL": "mysql://u:secret@h/d"},
            "DATABASE_URL: is not a PostgreSQL URL",
        ),
    ],
)
def test_a_start_without_good_settings_is_refused_in_one_line(
    program: str, environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    process = subprocess.run(
        [sys.executable, "-m", *program.split()],
        cwd=tmp_path,
        env={**os.environ, **PROJECT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert process.returncode != 0
    assert len([line for line in process.stderr.splitlines() if reason in line]) == 1
    assert "Traceback" not in process.stderr
    assert "secret" not in process.stderr


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DATABASE_URL": "u:secret@h"}, "DATABASE_URL: is not a URL"),
        ({"DATABASE_URL": "postgres://h/d", "LOG_LEVEL": "loud"}, "LOG_LEVEL: Input should be"),
        ({"DATABASE_URL": "postgres://h/d", "DATABASE_POOL_SIZE": "0"}, "DATABASE_POOL_SIZE:"),
        ({"DATABASE_URL": "postgres://h/d", "TRUSTED_PROXIES": "all"}, "TRUSTED_PROXIES:"),
    ],
)
def test_a_bad_setting_is_named_but_not_shown(
    environment: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no .env
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=f"^{reason}") as refused:
        load(Settings)

    assert "secret" not in str(refused.value)


def test_the_pid_in_what_a_crash_left_may_be_that_of_another_program(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path, {"fsync": "off"}):
        user = postgres_of(tmp_path)[0].username()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=user) as another:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (tmp_path / "postgres" / name).write_text(f"{another.pid}\n")

        with embedded_postgres(tmp_path, {"fsync": "off"}):
            assert postgres_of(tmp_path)


def test_users_of_one_folder_share_a_server_and_the_last_one_stops_it(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as first:
        with embedded_postgres(tmp_path) as second:
            assert first == second
        assert postgres_of(tmp_path)
    assert postgres_of(tmp_path) == []


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"PORT": "99999"}, "PORT: Input should be less than or equal to 65535"),
        (
            {"DATABASE_URL": "postgres://u:secret@127.0.0.1:1/d"},
            "The database does not answer: connection failed",
        ),
    ],
)
def test_serving_with_bad_settings_is_refused_in_one_line(
    environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with starting(SERVE, tmp_path, **environment) as process:
        output = process.output()

    assert process.popen.returncode != 0
    assert output.startswith(reason)
    assert len(output.splitlines()) == 1
    assert "secret" not in output


def test_a_scratch_database_is_used_whatever_else_is_set() -> None:
    mine = "postgresql://localhost/mine"
    command = 'echo "$DATABASE_URL" "$DATABASE_URL_UNPOOLED"'
    output = subprocess.run(
        [sys.executable, "-m", "app.development.database", "--scratch", "bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": mine, "DATABASE_URL_UNPOOLED": mine},
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    scratch, unpooled = output.split()
    assert scratch == unpooled
    assert scratch.startswith("postgresql://postgres@/todo?host=")


def test_a_server_that_is_interrupted_while_it_starts_is_stopped(tmp_path: Path) -> None:
    process = subprocess.Popen([*SERVE], cwd=tmp_path, env={**os.environ, **PROJECT})
    pid_file = tmp_path / ".data" / "postgres" / "postmaster.pid"
    while not pid_file.exists():
        assert process.poll() is None
    process.terminate()
    process.wait(30)

    # PostgreSQL removes its pid file, for which pg_ctl waits, shortly before it ends.
    wait_until(lambda: postgres_of(tmp_path) == [])


def test_a_changed_model_is_migrated_once_its_migration_is_written(tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    model = copy / "app/models/task.py"
    with serving(SERVE, tmp_path, PYTHONPATH=str(copy)) as process:
        log = Path(process.log.name)
        process.create("before the change")
        field = "    note: Line | None = Field(default=None, max_length=9)\n"
        model.write_text(model.read_text() + field)
        wait_until(lambda: 'run just migration "what changed"' in log.read_text())

        run(copy, "just migration 'add a note'")

        def migrated() -> bool:
            with suppress(httpx.TransportError):  # it reloads
                tasks = httpx.get(f"{process.url}{TASKS}", headers=ALICE)
                return tasks.status_code == 200
            return False

        wait_until(migrated)
        assert process.titles() == ["before the change"]
        assert log.read_text().count("just migration") == 1


IN_NAMESPACE = ["unshare", "--map-root-user", "--mount"]
"""Root, who may mount file systems, but there are no users to give a file to."""
READ_ONLY = [*IN_NAMESPACE, "bash", "-c", 'mount -t tmpfs -o ro none "$DATA_DIR"; exec "$0" "$@"']
FULL = ["bash", "-c", 'ulimit -f 1000; exec "$0" "$@"']
"""No file may have more than 1,000 KiB, which looks to initdb like a full disk."""


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (READ_ONLY, "Read-only file system"),
        (FULL, "could not write to file"),
        (IN_NAMESPACE, "Invalid argument"),
    ],
    ids=["read-only", "full", "without owners"],
)
def test_a_folder_that_postgresql_cannot_use_is_named_in_one_line(
    command: list[str], reason: str, tmp_path: Path
) -> None:
    if subprocess.run([*command[:3], "true"], check=False).returncode:
        pytest.skip("namespaces are not allowed here")
    folder = tmp_path / "data"
    folder.mkdir()
    with starting([*command, *SERVE], tmp_path, DATA_DIR=str(folder)) as process:
        output = process.output()

    [line] = [line for line in output.splitlines() if not line.startswith("Letting the user")]
    assert process.popen.returncode == 1
    assert str(folder) in line
    assert reason in line
    assert {path.name for path in folder.iterdir()} <= LOCKS


@root_only
def test_a_user_without_a_name_is_told_so_in_one_line(tmp_path: Path) -> None:
    reading_all = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    nameless = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", *reading_all]
    with starting([*nameless, "env", "--unset=HOME", *SERVE], tmp_path) as process:
        output = process.output()

    assert process.popen.returncode == 1
    assert len(output.splitlines()) == 1
    assert "could not look up effective user ID 12345: user does not exist" in output
    assert {path.name for path in (tmp_path / ".data").iterdir()} == LOCKS


@root_only
def test_two_first_starts_at_once_create_one_user(tmp_path: Path) -> None:
    name = f"test-{uuid4().hex[:8]}"
    slow = tmp_path / "useradd"
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {shutil.which("useradd")} "$@"\n')
    slow.chmod(0o755)
    create = f"from app.development.programs import create_user; create_user('{name}')"
    environment = {**os.environ, **PROJECT, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    processes = [
        subprocess.Popen([sys.executable, "-c", create], env=environment) for _ in range(2)
    ]
    try:
        assert [process.wait(30) for process in processes] == [0, 0]
    finally:
        subprocess.run(["userdel", name], check=True)
