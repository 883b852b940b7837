"""Measuring several things by turns, so that what else the machine does touches all of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from rich.progress import Progress

ResultT = TypeVar("ResultT")
Measure = Callable[[], Awaitable[ResultT]]


async def take_turns(
    name: str, table: Mapping[str, Mapping[str, Measure[ResultT]]], rounds: int, progress: Progress
) -> dict[str, dict[str, list[ResultT]]]:
    """Measure each cell of a table once in each round, in another order of columns each time.

    Args:
        name: what the progress bar calls it.
        table: how to measure a cell, by row and by column.
        rounds: how many there are, besides a first one that only warms up.
        progress: where to show how far it is.
    """
    results: dict[str, dict[str, list[ResultT]]] = {
        row: {column: [] for column in columns} for row, columns in table.items()
    }
    task = progress.add_task(name, total=(rounds + 1) * sum(map(len, table.values())))
    for round_ in range(rounds + 1):
        for row, columns in table.items():
            order = list(columns)
            first = round_ % len(order)
            for column in order[first:] + order[:first]:
                result = await columns[column]()
                if round_:
                    results[row][column].append(result)
                progress.advance(task)
    return results
