"""Small line plots as inline SVG: styled by the page's CSS variables, told apart by colour, dash and shape.

Eight series styles; colours of Okabe and Ito's palette stand in `report_page.css` as `--series-0` and on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from tasks.report_blocks import Figure, Line, Panel

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 14, 42
STYLES = 8
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 4", "6 2 1 2")
MARK_LIMIT = 60
"""More vertical lines than this would be a grey block: then only their first and last are drawn."""


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that span [low, high]: the first is not above `low`, the last not
    below `high`."""
    if not high > low:
        low, high = low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(start, stop + 1)]


def short(value: float) -> str:
    """A tick's number: 1500 as 1.5k, 2000000 as 2M."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _range(panels: Sequence[Panel], place: int) -> tuple[float, float]:
    values = [point[place] for panel in panels for line in panel.lines for point in line.points]
    if place == 1:
        values += [bound for panel in panels for line in panel.lines for point in line.points for bound in point[2:]]
        values += [panel.level[0] for panel in panels if panel.level]
    values = [value for value in values if math.isfinite(value)]
    return (min(values), max(values)) if values else (0.0, 1.0)


def marker(style: int, x: float, y: float) -> str:
    """The shape of a series at a point: circle, square, triangle, diamond, in turn; hollow from the fifth series on."""
    hollow = ' fill="none"' if style % STYLES >= 4 else ""
    size = 3.4
    shape = style % 4
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}"{hollow}/>'
    if shape == 1:
        return f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}"{hollow}/>'
    if shape == 2:
        return f'<path d="M{x:.1f} {y - size - 1:.1f}l{size + 1} {2 * size}h-{2 * size + 2}z"{hollow}/>'
    return f'<path d="M{x:.1f} {y - size - 1:.1f}l{size + 1} {size + 1}l-{size + 1} {size + 1}l-{size + 1}-{size + 1}z"{hollow}/>'


def swatch(style: int) -> str:
    """A series as it looks in a plot, for the legend."""
    return (f'<svg class="swatch" viewBox="0 0 36 12" aria-hidden="true"><g class="line s{style % STYLES}">'
            f'<path d="M0 6H36" fill="none"{_dash(style)}/>{marker(style, 18, 6)}</g></svg>')


def _dash(style: int) -> str:
    dash = DASHES[style % STYLES]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _line(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    points = sorted(line.points)
    path = "".join(f"{'L' if number else 'M'}{x(point[0]):.1f} {y(point[1]):.1f}" for number, point in enumerate(points))
    parts = [f'<path d="{path}" fill="none"{_dash(line.style)}/>']
    for at, value, low, high in points:
        if math.isfinite(low) and math.isfinite(high) and not line.thin:
            parts.append(f'<path class="bar" d="M{x(at):.1f} {y(low):.1f}V{y(high):.1f}m-3 0h6M{x(at) - 3:.1f} {y(low):.1f}h6"/>')
        if not line.thin:
            parts.append(marker(line.style, x(at), y(value)))
    return f'<g class="line s{line.style % STYLES}{" thin" if line.thin else ""}">{"".join(parts)}</g>'


def draw(figure: Figure, number: int) -> str:
    """Panel `number` of a figure as an `<svg>` that names and describes itself; all panels of a figure share their axes."""
    panel = figure.panels[number]
    x_ticks, y_ticks = ticks(min(0.0, _range(figure.panels, 0)[0]), _range(figure.panels, 0)[1]), ticks(*_range(figure.panels, 1))

    def x(value: float) -> float:
        return LEFT + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (HEIGHT - TOP - BOTTOM)

    name = f"{figure.id}-{number}"
    told = (f"{figure.y} over {figure.x} for {', '.join(dict.fromkeys(line.name for line in panel.lines))}"
            + (f"; {len(panel.marks)} vertical lines" if panel.marks else "") + ". The numbers are in the table below.")
    parts = [f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">',
             f'<title id="{name}-t">{escape(panel.title)}: {escape(figure.y)}</title><desc id="{name}-d">{escape(told)}</desc>']
    for tick in y_ticks:
        label = f"{100 * tick:g}" if panel.share else short(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>'
                     f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    for tick in x_ticks:
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {HEIGHT - BOTTOM}v4"/>'
                     f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{short(tick)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(figure.x)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(12 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(figure.y)}</text>')
    shown = panel.marks if len(panel.marks) <= MARK_LIMIT else [panel.marks[0], panel.marks[-1]]
    parts += [f'<path class="episode" d="M{x(mark):.1f} {TOP}V{HEIGHT - BOTTOM}"/>' for mark in shown]
    if panel.level:
        parts.append(f'<path class="level" d="M{LEFT} {y(panel.level[0]):.1f}H{WIDTH - RIGHT}"/><text x="{LEFT + 4}" '
                     f'y="{y(panel.level[0]) - 4:.1f}">{escape(panel.level[1])}</text>')
    parts += [_line(line, x, y) for line in sorted(panel.lines, key=lambda line: not line.thin)]
    return "".join(parts) + "</svg>"
