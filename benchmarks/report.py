"""Tables of what was measured, on the terminal and in Markdown."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import rich
from rich.markdown import Markdown

FOLDER = Path(__file__).parent
Measured = Mapping[str, Mapping[str, Sequence[float]]]
"""By row and by column, a value for each round."""


@dataclass(frozen=True)
class Table:
    """A table, and what is to be known about it."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.note}\n\n{body}\n"


def comparison(
    title: str, note: str, measured: Measured, unit: str = "", limit: float = 0
) -> Table:
    """Compare the columns of what was measured with the first one.

    Args:
        title: the title of the table.
        note: what is to be known about it.
        measured: the values.
        unit: what they are counted in.
        limit: the largest ratio that is allowed, if there is one; a column tells where it is kept.
    """
    base, *others = next(iter(measured.values()))
    header, rows = ["", base, *others], []
    for name, values in measured.items():
        ratios = [ratio(values[other], values[base]) for other in others]
        cells = [
            f"{_spread(values[o], unit)} {r:.2f}×" for o, r in zip(others, ratios, strict=True)
        ]
        kept = ["yes" if max(ratios) <= limit else "**no**"] if limit else []
        rows.append([name, _spread(values[base], unit), *cells, *kept])
    return Table(title, note, [*header, f"at most {limit}×"] if limit else header, rows)


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of values to those of the same round."""
    return median(value / other for value, other in zip(values, base, strict=True))


def write(name: str, title: str, introduction: str, tables: Sequence[Table]) -> None:
    """Print tables and write them into a Markdown file of this folder."""
    machine = (
        f"Measured with Python {platform.python_version()} on {os.cpu_count()} cores of"
        f" {platform.machine()}. [How to read it](README.md)\n"
    )
    text = "\n".join(
        [f"# {title}\n", f"{introduction} {machine}", *(table.markdown() for table in tables)]
    )
    (FOLDER / name).write_text(text, encoding="utf-8")
    rich.print(Markdown(text))
    rich.print(f"Written: benchmarks/{name}")


def number(value: float) -> str:
    """Return three digits of a value, or all of those before the decimal point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _spread(values: Sequence[float], unit: str) -> str:
    middle = f"{number(median(values))}{unit and ' '}{unit}"
    low, high = number(min(values)), number(max(values))
    return middle if low == high else f"{middle} ({low}–{high})"
