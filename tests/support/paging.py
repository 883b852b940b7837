"""Whole lists, a page at a time."""

from typing import Any

import httpx


def pages(client: httpx.Client, path: str, **parameters: object) -> list[dict[str, Any]]:
    """All items of a list, a page at a time."""
    page = client.get(path, params=parameters).json()  # type: ignore[arg-type]
    items: list[dict[str, Any]] = page["items"]
    while page["next_cursor"]:
        assert len(items) < 100
        cursor = {"cursor": page["next_cursor"]}
        page = client.get(path, params={**parameters, **cursor}).json()  # type: ignore[dict-item]
        items += page["items"]
    return items


def pages_back(client: httpx.Client, path: str, **parameters: object) -> list[dict[str, Any]]:
    """All items of a list, a page at a time from its end: it is read to the end first."""
    page = client.get(path, params=parameters).json()  # type: ignore[arg-type]
    while page["next_cursor"]:
        cursor = {"cursor": page["next_cursor"]}
        page = client.get(path, params={**parameters, **cursor}).json()  # type: ignore[dict-item]
    items: list[dict[str, Any]] = page["items"]
    while page["previous_cursor"]:
        assert len(items) < 100
        cursor = {"cursor": page["previous_cursor"]}
        page = client.get(path, params={**parameters, **cursor}).json()  # type: ignore[dict-item]
        items = page["items"] + items
    return items
