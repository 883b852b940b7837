"""What `just bench` compares does the same."""

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import URL

from benchmarks.candidates import CANDIDATES, OPERATIONS, TASKS, Candidate
from benchmarks.dataset import Row
from benchmarks.load import Answer, Request, send
from benchmarks.servers import Server, serving

# The first run installs npm packages.
pytestmark = [pytest.mark.plain, pytest.mark.timeout(600)]

OPERATION = {operation.name: operation for operation in OPERATIONS}
DONE = {200, 201, 204}
REFUSED = {400, 401, 422}


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_a_peer_does_what_this_project_does(
    candidate: Candidate, database: URL, owner: str
) -> None:
    async def serve_and_check() -> None:
        async with serving(candidate.application, database) as server:
            await check(server, candidate, owner)

    asyncio.run(serve_and_check())


async def check(server: Server, candidate: Candidate, owner: str) -> None:
    """Do each operation for an owner who has nothing yet, in good and in bad ways."""

    async def ask(request: Request) -> Answer:
        [answer] = await send(server.port, iter([request]), clients=1)
        return answer

    async def do(name: str, id_: str = "", owner: str = owner) -> Answer:
        return await ask(OPERATION[name].request(candidate, Row(owner, id_)))

    created = [json.loads((await do("create")).body)["id"] for _ in range(21)]
    page = json.loads((await do("list 20")).body)
    items = page if isinstance(page, list) else page.get("items") or page["data"]
    assert [item["id"] for item in items] == sorted(created, reverse=True)[:20]

    id_ = created[0]
    assert (await do("update", id_)).status in DONE
    assert (await do("toggle", id_)).status in DONE
    task = json.loads((await do("get", id_)).body)
    created_at, updated_at = (
        datetime.fromisoformat(task.pop(name)) for name in ("created_at", "updated_at")
    )
    assert created_at < updated_at <= datetime.now(UTC)
    expected = {"title": "Buy oat milk", "description": "Two litres.", "completed": True}
    task.pop("etag", None)  # only of this project
    assert task == {"id": id_, **expected}

    for name in ("get", "update", "toggle", "delete"):
        assert (await do(name, id_, "stranger")).status == 404
        assert (await do(name, "nonsense")).status in REFUSED
    for body in ("{}", '{"title": ""}', '{"title": '):
        assert (await ask(Request(owner, "POST", TASKS, body))).status in REFUSED
    async with httpx.AsyncClient() as nobody:
        answer = await nobody.get(f"http://127.0.0.1:{server.port}{TASKS}")
        assert answer.status_code in REFUSED

    assert (await do("delete", id_)).status in DONE
    assert (await do("get", id_)).status == 404
