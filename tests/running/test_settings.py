"""Settings: what is meant works, and what cannot work stops the start and says why."""

from collections.abc import Callable
from pathlib import Path

import anyio.from_thread
import httpx
import pytest
from sqlalchemy import URL

from app.config import Settings, SettingsError, load
from app.main import create_app
from tests.support.migrations import migrate
from tests.support.process import ALICE
from tests.support.server import SuiteSettings, running, serve
from tests.support.tasks import TASKS

pytestmark = pytest.mark.plain

Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """A function that returns why settings in the environment are refused."""
    monkeypatch.chdir(tmp_path)  # where there is no .env

    def reason(**environment: str) -> str:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError) as refused:
            load(Settings)
        return str(refused.value)

    return reason


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_URL_UNPOOLED"])
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:secret@h/d?pgbouncer=true", "does not know: pgbouncer"),
        ("postgresql://u:secret@h/d?schema=public&ssl=true", "does not know: schema, ssl"),
        ("postgresql://u:se?cret@h/d?sslmode=require&x", "does not know: x"),
        ("'postgresql://u:secret@h/d'", "has quotes or psql around the URL"),
        ('"postgresql://u:secret@h/d"', "has quotes or psql around the URL"),
        ("psql 'postgresql://u:secret@h/d'", "has quotes or psql around the URL"),
        ("postgresql://u:sec#ret@h/d", "has an @, # or / that must be escaped"),
        ("postgresql://u:sec@ret@h/d", "has an @, # or / that must be escaped"),
        ("postgresql://u:sec/ret@h/d", "has an @, # or / that must be escaped"),
        ("postgresql://u:ret?sec=x/@h/d", "has an @, # or / that must be escaped"),
        ("postgresql://u:sec%ret@h/d", "a % is not written as %25"),
        ("postgresql://u:sec%E9ret@h/d", "a % is not written as %25"),
        ("postgresql://u:secret@h:5432x/d", "a port is not a number"),
        ("host=h password=secret", "is not a URL, such as postgresql://"),
        ("mysql://u:secret@h/d", "is not a PostgreSQL URL"),
    ],
)
def test_a_url_of_the_database_that_cannot_work_is_refused_and_not_shown(
    refuse: Refuse, name: str, url: str, why: str
) -> None:
    message = refuse(**{name: url})

    assert message.startswith(f"{name}: ")
    assert why in message
    assert "sec" not in message
    assert "ret" not in message


@pytest.mark.parametrize(
    ("given", "password"),
    [("p%40%23%2F%25", "p@#/%"), ("p w?:&+=", "p w?:&+="), ("%F0%9F%94%91", "🔑")],
)
def test_any_password_can_be_written_in_a_url(given: str, password: str) -> None:
    settings = SuiteSettings.model_validate({"database_url": f" postgres://u:{given}@h:1/d\n"})

    assert settings.database_url is not None
    assert settings.database_url.password == password


def test_a_url_may_have_several_hosts(database: URL) -> None:
    with serve(database) as server:
        port = server.app.state.settings.database_url.query["port"]
        url = (
            f"postgresql://{database.username}@127.0.0.1:1,127.0.0.1:{port}/{database.database}"
            "?target_session_attrs=read-write&sslmode=disable&gssencmode=disable"
        )
        migrate(url)
        app = create_app(SuiteSettings.model_validate({"database_url": url}))
        with (
            anyio.from_thread.start_blocking_portal() as portal,
            running(app, portal) as address,
        ):
            assert httpx.get(f"{address}{TASKS}", headers=ALICE).status_code == 200


@pytest.mark.parametrize(
    ("origin", "read"),
    [
        ("https://a.example/", "https://a.example"),
        ("HTTPS://A.Example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("https://*.a.example", "https://*.a.example"),
        ("https://*--a.example.com", "https://*--a.example.com"),
        ("*", "*"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(origin: str, read: str) -> None:
    settings = SuiteSettings.model_validate({"cors_origins": origin})

    assert settings.cors_origins == (read,)


@pytest.mark.parametrize(
    "origin",
    [
        "a.example",
        "localhost:3000",
        "https://a.example/app",
        "https://a.example//",
        "https://a.example?x",
        "https://secret@a.example",
        "https://u:secret@a.example",
        "https://a.example:port",
        "https://a.*.example",
        "https://*",
        "https://bücher.example",
        '["https://a.example"]',
        "null",
    ],
)
def test_what_is_no_origin_is_refused(refuse: Refuse, origin: str) -> None:
    message = refuse(CORS_ORIGINS=f"https://b.example, {origin}")

    assert message.startswith("CORS_ORIGINS: ")
    assert "is not an origin: it must have a scheme" in message
    assert "b.example" not in message
    assert "secret" not in message


@pytest.mark.parametrize("prefix", ["todo", "/todo/", "/", "https://a.example/todo", "/tödo"])
def test_a_prefix_that_is_no_path_is_refused(refuse: Refuse, prefix: str) -> None:
    assert refuse(ROOT_PATH=prefix).startswith("ROOT_PATH: String should match pattern")


@pytest.mark.parametrize("prefix", ["/todo", "/api", "/a/b"])
def test_urls_have_the_prefix_that_a_proxy_removes(database: URL, prefix: str) -> None:
    with serve(database, root_path=prefix) as server, server.client("alice") as client:
        created = client.post(TASKS, json={"title": "x"})
        document = client.get("/openapi.json").json()

        location = created.headers["location"]
        assert location == f"{prefix}{TASKS}/{created.json()['id']}"
        assert client.get(location.removeprefix(prefix)).json() == created.json()
        assert [each["url"] for each in document["servers"]] == [prefix]


def test_the_documentation_can_be_turned_off(database: URL) -> None:
    with serve(database, docs=False) as server, server.client("alice") as client:
        for path in ("/docs", "/docs/swagger-ui.css", "/openapi.json"):
            assert client.get(path).status_code == 404
        assert client.get(TASKS).status_code == 200
