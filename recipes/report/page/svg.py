"""Small line plots as inline SVG: styled by the page's CSS variables, told apart by colour, dash and shape.

Eight series styles; colours of Okabe and Ito's palette stand in `report_page.css` as `--series-0` and on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from recipes.report.page.blocks import Figure, Line, Panel

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 14, 42
STYLES = 8
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "1 4", "6 2 1 2")
MOST_MARKERS = 40
"""Lines of more points have no markers and no bars: they would be one blot."""
MARK_LIMIT = 60
"""More vertical lines than this would be a grey block: then only their first and last are drawn."""


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` (their logarithms where `logarithmic`) become coordinates from `start` to `end`."""

    ticks: list[float]
    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        at = math.log(value) if self.logarithmic else value
        return self.start + (at - self.low) / (self.high - self.low) * (self.end - self.start)


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
    return f'<svg class="swatch" viewBox="0 0 36 12" aria-hidden="true">{_sample(style)}</svg>'


def _sample(style: int) -> str:
    return f'<g class="line s{style % STYLES}"><path d="M0 6H36" fill="none"{_dash(style)}/>{marker(style, 18, 6)}</g>'


def _dash(style: int) -> str:
    dash = DASHES[style % STYLES]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _line(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    points = sorted(line.points)
    path = "".join(f"{'L' if number else 'M'}{x(point[0]):.1f} {y(point[1]):.1f}" for number, point in enumerate(points))
    parts = [f'<path d="{path}" fill="none"{_dash(line.style)}/>']
    for at, value, low, high in points if len(points) <= MOST_MARKERS else ():
        if math.isfinite(low) and math.isfinite(high) and not line.thin:
            parts.append(f'<path class="bar" d="M{x(at):.1f} {y(low):.1f}V{y(high):.1f}m-3 0h6M{x(at) - 3:.1f} {y(low):.1f}h6"/>')
        if not line.thin:
            parts.append(marker(line.style, x(at), y(value)))
    return f'<g class="line s{line.style % STYLES}{" thin" if line.thin else ""}">{"".join(parts)}</g>'


def _axes(figure: Figure, panel: Panel) -> tuple[Axis, Axis]:
    """Both axes of a panel; all panels of a figure share theirs unless each has its own."""
    panels = [panel] if figure.own else figure.panels
    low, high = _range(panels, 0)
    if panel.ticks and low > 0:
        ends = (low / 1.15, high * 1.15)
        across = Axis(panel.ticks, math.log(ends[0]), math.log(ends[1]), LEFT, WIDTH - RIGHT, logarithmic=True)
    else:
        x_ticks = ticks(min(0.0, low), high)
        across = Axis(x_ticks, x_ticks[0], x_ticks[-1], LEFT, WIDTH - RIGHT)
    y_ticks = ticks(*_range(panels, 1))
    return across, Axis(y_ticks, y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)


def draw(figure: Figure, number: int) -> str:
    """Panel `number` of a figure as an `<svg>` that names and describes itself."""
    panel = figure.panels[number]
    x, y = _axes(figure, panel)
    what = panel.y or figure.y
    name = f"{figure.id}-{number}"
    told = (f"{what} over {figure.x} for {', '.join(dict.fromkeys(line.name for line in panel.lines))}"
            + (f"; {len(panel.marks)} vertical lines" if panel.marks else "") + ". The numbers are in the table below.")
    parts = [f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}-t {name}-d">',
             f'<title id="{name}-t">{escape(panel.title)}: {escape(what)}</title><desc id="{name}-d">{escape(told)}</desc>']
    for tick in y.ticks:
        label = f"{100 * tick:g}" if panel.share else short(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>'
                     f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{label.replace("-", "−")}</text>')
    last = -math.inf
    for tick in x.ticks:
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {HEIGHT - BOTTOM}v4"/>')
        if x(tick) - last > 30:  # a label needs so much room
            last = x(tick)
            parts.append(f'<text x="{last:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{short(tick)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(figure.x)}'
                 + (" (logarithmic)" if x.logarithmic else "") + "</text>")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(12 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(what)}</text>')
    shown = panel.marks if len(panel.marks) <= MARK_LIMIT else [panel.marks[0], panel.marks[-1]]
    parts += [f'<path class="episode" d="M{x(mark):.1f} {TOP}V{HEIGHT - BOTTOM}"/>' for mark in shown]
    if panel.level:
        parts.append(f'<path class="level" d="M{LEFT} {y(panel.level[0]):.1f}H{WIDTH - RIGHT}"/><text x="{LEFT + 4}" '
                     f'y="{y(panel.level[0]) - 4:.1f}">{escape(panel.level[1])}</text>')
    drawn = sorted(panel.lines, key=lambda line: not line.thin)
    thick = [line.style for line in drawn if not line.thin] if x.logarithmic else []
    for line in drawn:  # at common budgets the bars of several arms would lie on each other: they stand side by side
        beside = 4.0 * (thick.index(line.style) - (len(thick) - 1) / 2) if line.style in thick else 0.0
        parts.append(_line(line, lambda value, beside=beside: x(value) + beside, y))  # type: ignore[misc]
    return "".join(parts) + "</svg>"


def standalone(figures: Sequence[Figure]) -> str:
    """Figures as one SVG file that any page can show as a picture: a row a figure, legend below, light and dark by itself."""
    columns = max(len(figure.panels) for figure in figures)
    names = {name: style for figure in figures for name, style in figure.names.items()}
    title, row, legend = 22, HEIGHT + 22, 26 * math.ceil(len(names) / columns)
    size = (columns * WIDTH, len(figures) * row + legend + 8)
    css = (Path(__file__).parent / "report_page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    marks = "".join(line + "\n" for line in css.splitlines() if re.match(r"\.(plot text|grid|level|episode|line|s\d) ?[{.]", line)
                    or line.startswith((".line .bar", ".s0", ".s4")))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}">',
             f"<style>:root {{{light}}}\n@media (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n{marks}"
             "text { fill: var(--ink); font: 12px system-ui, sans-serif; } .head { font-weight: 600; }</style>",
             f'<rect width="{size[0]}" height="{size[1]}" style="fill: var(--paper)"/>']
    for down, figure in enumerate(figures):
        for across, panel in enumerate(figure.panels):
            x, y = across * WIDTH, down * row
            plot = draw(figure, across).replace("<svg ", f'<svg x="{x}" y="{y + title}" width="{WIDTH}" height="{HEIGHT}" ', 1)
            parts.append(f'<text class="head" x="{x + 12}" y="{y + 16}">{escape(panel.title)}</text>{plot}')
    for place, (name, style) in enumerate(names.items()):
        x, y = place % columns * WIDTH + LEFT, len(figures) * row + 26 * (place // columns) + 8
        parts.append(f'<svg x="{x}" y="{y}" width="36" height="12" viewBox="0 0 36 12">{_sample(style)}</svg>'
                     f'<text x="{x + 44}" y="{y + 10}">{escape(name)}</text>')
    return "\n".join(parts) + "</svg>\n"
