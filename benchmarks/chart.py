"""A bar chart as SVG."""

from html import escape
from statistics import median

from benchmarks.report import FOLDER, Measured, number, ratio

_COLOURS = ("#1f6feb", "#8b949e", "#d4a72c", "#cf5b46", "#2da44e", "#8250df", "#bf3989", "#57606a")
_WIDTH, _LEFT, _RIGHT = 760, 90, 130
_BAR, _GAP, _TOP, _BOTTOM = 15, 14, 74, 16
_STYLE = "font-family: system-ui, sans-serif; font-size: 12px; fill: #1f2328"


def write(name: str, title: str, measured: Measured, unit: str) -> None:
    """Draw what was measured: a group of bars for each row, a bar for each column.

    A bar ends with its median and with its ratio to the first bar of its group.
    """
    columns = list(next(iter(measured.values())))
    largest = max(median(values) for row in measured.values() for values in row.values())
    scale = (_WIDTH - _LEFT - _RIGHT) / largest
    group = _BAR * len(columns) + _GAP
    height = _TOP + group * len(measured) + _BOTTOM
    parts = [_text(16, 26, f"{title} ({unit})", "font-size: 15px; font-weight: 600")]
    parts += _legend(columns)
    for place, (row, values) in enumerate(measured.items()):
        top = _TOP + group * place
        middle = top + _BAR * len(columns) / 2 + 4
        parts.append(_text(_LEFT - 10, middle, row, "text-anchor: end; font-weight: 600"))
        for line, column in enumerate(columns):
            y = top + _BAR * line
            length = median(values[column]) * scale
            parts.append(_rectangle(_LEFT, y, length, _BAR - 2, _COLOURS[line]))
            times = f"{ratio(values[column], values[columns[0]]):.2f}×"
            label = f"{number(median(values[column]))} {unit}, {times}"
            parts.append(_text(_LEFT + length + 6, y + 11, label))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" role="img" style="{_STYLE}">\n'
        f"<title>{escape(title)}</title>\n"
        f"{_rectangle(0, 0, _WIDTH, height, '#ffffff')}\n" + "\n".join(parts) + "\n</svg>\n"
    )
    (FOLDER / name).write_text(svg, encoding="utf-8")


def _legend(columns: list[str]) -> list[str]:
    parts = []
    x = 16
    for column, colour in zip(columns, _COLOURS, strict=False):
        parts += [_rectangle(x, 42, 12, 12, colour), _text(x + 18, 52, column)]
        x += 34 + 7 * len(column)
    return parts


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" style="{style}">{escape(text)}</text>'
