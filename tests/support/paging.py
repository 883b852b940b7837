"""Whole lists, a page at a time."""

from typing import Any

import httpx


def pages(client: httpx.Client, path: str, **parameters: object) -> list[dict[str, Any]]:
    """All items of a list, a page at a time."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while cursor or not items:
        assert len(items) < 100
        page = client.get(path, params={**parameters, **cursor}).json()  # type: ignore[dict-item]
        items += page["items"]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
    return items
