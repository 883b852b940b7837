"""Who is asking is what the header says, if it comes from where TRUSTED_PROXIES says."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.from_thread
import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import URL
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.kit.api.protocol import HttpProtocol
from app.main import create_app
from tests.support.logs import Logs
from tests.support.problems import JSON, assert_problem
from tests.support.process import ALICE, wait_until
from tests.support.server import Server, SuiteSettings, running
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain

DEFAULT = "127.0.0.0/8,::1/128"

Get = Callable[..., httpx.Response]


@contextmanager
def serving(
    database: URL,
    trusted: str = DEFAULT,
    *,
    listener: socket.socket | None = None,
    proxy_headers: bool = False,
    **transport: Any,
) -> Iterator[Get]:
    """Serve the application, and give a function that gets Alice's tasks.

    Args:
        database: where PostgreSQL is.
        trusted: TRUSTED_PROXIES.
        listener: where the server listens.
        proxy_headers: whether Uvicorn takes the peer from X-Forwarded-For.
        transport: how the client connects, as httpx has it.
    """
    settings = {"database_url": database, "trusted_proxies": trusted}
    app = create_app(SuiteSettings.model_validate(settings))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        running(app, portal, listener, proxy_headers=proxy_headers) as url,
        httpx.HTTPTransport(verify=False, **transport) as connections,
        httpx.Client(transport=connections, timeout=30) as client,
    ):

        def get(path: str = TASKS, **headers: str) -> httpx.Response:
            spelled = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.get(url + path, headers=ALICE | spelled)

        yield get


CHUNKED = b"Transfer-Encoding: chunked"


def status_of(url: str, *lines: bytes) -> int:
    """Ask for a list of tasks, with these lines behind the first ones, and return the status."""
    where = httpx.URL(url)
    with socket.create_connection((where.host, where.port), timeout=30) as connection:
        start = b"GET %s HTTP/1.1" % TASKS.encode()
        connection.sendall(b"\r\n".join([start, b"Host: test", b"Connection: close", *lines]))
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"X-User-ID", b"")],
        [(b"X-User-ID", b"a" * 256)],
        [(b"X-User-ID", b"a b")],
        [(b"X-User-ID", "é".encode())],
        [(b"X-User-ID", b"\xff")],
        [(b"X-User-ID", b"a\tb")],
        [(b"X-User-ID", b"alice"), (b"X-User-ID", b"bob")],
        [(b"X-User-ID", b"alice"), (b"x-user-id", b"alice")],
    ],
)
def test_an_identity_that_is_missing_or_malformed_is_nobody(
    nobody: httpx.Client, headers: list[tuple[bytes, bytes]]
) -> None:
    for method, path in (("GET", TASKS), ("POST", TASKS), ("POST", f"{TASKS}/{NEVER_WAS}/toggle")):
        content: dict[str, Any] = {"json": {"title": "x"}} if path == TASKS else {}
        response = nobody.request(method, path, headers=headers, **content)
        assert_problem(response, 401)
        assert response.headers["www-authenticate"] == "APIKey"


@pytest.mark.parametrize("owner", ["a", "~" * 255, "auth0|5f7c8ec7c33c6c004bbafe82", "!#$%&'*+"])
def test_any_visible_ascii_is_an_identity(server: Server, owner: str) -> None:
    with server.client(owner) as client:
        assert client.get(TASKS, params={"limit": 1}).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "address", "status"),
    [
        (DEFAULT, "127.0.0.1", 200),
        (DEFAULT, "127.0.0.2", 200),
        ("127.0.0.1/32", "127.0.0.1", 200),
        ("127.0.0.1/32", "127.0.0.2", 401),
        ("127.0.0.1", "127.0.0.2", 401),
        ("10.0.0.0/8, 127.0.0.2/32", "127.0.0.2", 200),
        ("10.0.0.0/8,unix", "127.0.0.1", 401),
        ("::1/128,::/0", "127.0.0.1", 401),
        (",", "127.0.0.1", 401),
    ],
)
def test_a_peer_is_believed_if_a_network_of_the_setting_has_it(
    database: URL, trusted: str, address: str, status: int
) -> None:
    with serving(database, trusted, local_address=address) as get:
        assert get().status_code == status
        assert get("/health/live").status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1:1234", "127.0.0.1", "127.0.0.1:80"])
def test_a_peer_is_not_who_a_header_says(database: URL, address: str) -> None:
    headers = {"X_Forwarded_For": address, "X_Real_IP": address, "Forwarded": f"for={address}"}
    for trusted in ("10.0.0.0/8", "127.0.0.1/32"):
        with serving(database, trusted, local_address="127.0.0.2") as get:
            assert_problem(get(**headers), 401)


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.1:1234", "unknown", "[::1]", ""])
def test_a_peer_stays_who_it_is_whatever_a_header_says(database: URL, address: str) -> None:
    with serving(database) as get:
        assert get(X_Forwarded_For=address).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "status"), [(DEFAULT, 200), ("::1/128", 200), ("127.0.0.0/8", 401)]
)
def test_a_peer_may_have_an_ipv6_address(database: URL, trusted: str, status: int) -> None:
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with serving(database, trusted, listener=listener) as get:
        assert get().status_code == status


@pytest.mark.parametrize(
    ("trusted", "status"), [(DEFAULT, 200), ("127.0.0.1/32", 200), ("::/0", 401)]
)
def test_a_peer_has_its_ipv4_address_on_a_socket_for_both(
    database: URL, trusted: str, status: int
) -> None:
    listener = socket.create_server(
        ("::ffff:127.0.0.1", 0), family=socket.AF_INET6, dualstack_ipv6=True
    )
    with serving(database, trusted, listener=listener) as get:
        assert get().status_code == status


@pytest.mark.parametrize(
    ("trusted", "status"), [("unix", 200), ("10.0.0.0/8, unix", 200), ("0.0.0.0/0,::/0", 401)]
)
def test_a_peer_of_a_unix_socket_is_believed_if_the_setting_says_so(
    database: URL, logs: Logs, trusted: str, status: int
) -> None:
    with TemporaryDirectory() as folder:  # of a short name, as that of a socket must be
        path = f"{folder}/socket"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        with serving(database, trusted, listener=listener, uds=path) as get:
            assert get().status_code == status

    warnings = [entry["why"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == ["unix is not in TRUSTED_PROXIES"] * (status == 401)


def test_a_peer_that_has_hung_up_is_not_that_of_a_unix_socket(database: URL, logs: Logs) -> None:
    """A server cannot tell the address of one, but has read what was sent before."""
    listener = socket.create_server(("127.0.0.1", 0))
    with socket.create_connection(listener.getsockname()) as peer:
        peer.sendall(b"DELETE %s/%s HTTP/1.1\r\n" % (TASKS.encode(), NEVER_WAS.encode()))
        peer.sendall(b"Host: test\r\nX-User-ID: alice\r\n\r\n")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with serving(database, "unix", listener=listener):
        wait_until(lambda: any("status" in entry for entry in logs))

    assert [entry["status"] for entry in logs if "status" in entry] == [401]
    assert [entry for entry in logs if entry["log_level"] == "warning"] == []


def test_a_peer_that_did_not_come_by_a_socket_is_not_believed() -> None:
    async def get() -> httpx.Response:
        app = httpx.ASGITransport(create_app(SuiteSettings()), client=("a test", 50000))
        async with httpx.AsyncClient(transport=app, base_url="http://test") as client:
            return await client.get(TASKS, headers=ALICE)

    assert_problem(anyio.run(get), 401)


def test_a_peer_is_nobody_if_the_server_has_put_another_address_in_its_place(
    database: URL, logs: Logs
) -> None:
    """Uvicorn does, unless told not to, for what comes from 127.0.0.1: a gateway, say."""
    with serving(database, proxy_headers=True) as get:
        assert get().status_code == 200
        for address in (
            "10.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2:1", "127.0.0.2:+1", "[::1]:1",
            "[::1]", "::1", "[127.0.0.2]:1", "127.0.0.2: 1", "127.0.0.2:0_1", "unknown", "x:1",
            "127.0.0.1:1, 127.0.0.1", "10.0.0.1,\t127.0.0.2:1", "unix", "[[::1]:1", "::1]:1",
            "[::ffff:127.0.0.1]:1",
        ):  # fmt: skip
            assert_problem(get(X_Forwarded_For=address), 401)

    (warning,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert "--no-proxy-headers" in warning["why"]


# A trailer comes behind a body in chunks, where no gateway need look for an identity.
@pytest.mark.parametrize(
    ("http", "status"), [(HttpProtocol, 200), (HttpToolsProtocol, 401), (H11Protocol, 401)]
)
def test_an_identity_is_in_a_header_that_cannot_be_a_trailer(
    database: URL, logs: Logs, http: type[asyncio.Protocol], status: int
) -> None:
    app = create_app(SuiteSettings(database_url=database))
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        running(app, portal, http=http) as url,
    ):
        assert status_of(url, b"X-User-ID: alice", b"", b"") == 200
        assert status_of(url, b"X-User-ID: alice", CHUNKED, b"", b"0", b"", b"") == 200
        assert status_of(url, CHUNKED, b"", b"0", b"X-User-ID: alice", b"", b"") == 401
        assert status_of(url, CHUNKED, b"X-User-ID: alice", b"", b"0", b"", b"") == status

    warnings = [entry["why"] for entry in logs if entry["log_level"] == "warning"]
    assert all("--http app.kit.api.protocol:HttpProtocol" in why for why in warnings)
    assert len(warnings) == (status == 401)


def test_an_identity_in_a_header_is_not_repeated_by_a_trailer(server: Server) -> None:
    trailer = [CHUNKED, b"", b"0", b"X-User-ID: mallory", b"", b""]

    assert status_of(server.url, b"X-User-ID: alice", *trailer) == 200


@pytest.mark.parametrize("kind", [b"Content-Length: 80", CHUNKED])
def test_an_identity_is_not_in_a_body(server: Server, kind: bytes) -> None:
    upgrade = [b"Connection: Upgrade", b"Upgrade: h2c"]
    hidden = [b"80", b"X-User-ID: alice", b"Host: test", b"", b""]

    assert status_of(server.url, b"X-User-ID: alice", *upgrade, kind, b"", b"") == 200
    assert status_of(server.url, *upgrade, kind, b"", *hidden) == 401


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{{{", {}),
        (b"\xff", {}),
        (b" " * 70_000, {}),
        (b"{}", {"Content-Encoding": "gzip"}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b'{"a": 1}', {}),
        (b"", {}),
    ],
)
def test_nobody_is_told_what_is_wrong_with_a_body(
    nobody: httpx.Client, body: bytes, headers: dict[str, str]
) -> None:
    for method, path in (("POST", TASKS), ("PATCH", f"{TASKS}/{NEVER_WAS}")):
        response = nobody.request(method, path, content=body, headers={**JSON, **headers})
        assert_problem(response, 401)
        assert response.headers["www-authenticate"] == "APIKey"


def test_the_log_says_once_why_a_peer_is_not_believed(database: URL, logs: Logs) -> None:
    with serving(database, "127.0.0.1/32", local_address="127.0.0.2") as get:
        for _ in range(3):
            assert_problem(get(), 401)

    (warning,) = (entry for entry in logs if entry["log_level"] == "warning")
    assert warning["event"] == "the caller is not believed"
    assert warning["why"] == "127.0.0.2 is not in TRUSTED_PROXIES"
    assert "alice" not in str(logs)


def test_the_log_says_nothing_of_who_does_not_say_who_they_are(database: URL, logs: Logs) -> None:
    with serving(database, "127.0.0.1/32", local_address="127.0.0.2") as get:
        assert_problem(get(X_User_ID=""), 401)

    assert [entry for entry in logs if entry["log_level"] == "warning"] == []


@pytest.mark.parametrize(
    "value", ["*", "10.0.0.0/8,*", "localhost", "10.0.0.1/8", "UNIX", "unix:/run/todo.sock"]
)
def test_trusted_proxies_that_are_no_networks_are_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="is not a list of networks"):
        SuiteSettings.model_validate({"trusted_proxies": value})
