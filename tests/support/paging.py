"""Whole lists, a page at a time, and what they must be."""

import operator
from collections.abc import Callable
from typing import Any

import httpx

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
"""What the filters of a range compare with."""


def sorted_as(
    items: list[dict[str, Any]], sort: str, key: Callable[[str], Callable[[dict[str, Any]], Any]]
) -> list[dict[str, Any]]:
    """Return items as a list shows them.

    Args:
        items: the items of the list.
        sort: the parameter of the request.
        key: returns the function that puts items in the order of a field.
    """
    named = {field.strip("-"): field for field in reversed(sort.split(","))}
    fields = [*named.values()][::-1]
    # Sorting is stable: what is sorted by last counts most.
    sign = "-" * next((f for f in fields if "created_at" in f), fields[-1]).startswith("-")
    for field in [f"{sign}id", *reversed(fields)]:
        items = sorted(items, key=key(field.strip("-")), reverse=field.startswith("-"))
    return items


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
