"""What a report's page is built from, before it becomes HTML or Markdown: sections of paragraphs, tables, plots, commands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.statistics import Estimate

NOTHING = "–"


@dataclass(frozen=True)
class Text:
    """A table cell.

    Attributes:
        key: what the column is sorted by; the text itself where None.
        mark: a sign behind the text, and what it means.
        links: (label, id of an element of the page) behind the text.
        code: a path, hash or setting.
    """

    text: str
    key: float | None = None
    mark: tuple[str, str] = ("", "")
    links: tuple[tuple[str, str], ...] = ()
    code: bool = False


Value = Text | str


@dataclass
class Table:
    """A table with a heading row; the first column names the row."""

    caption: str
    head: Sequence[str]
    rows: list[list[Value]]
    sortable: bool = True


@dataclass
class Line:
    """One polyline of a plot: points (x, y, low, high); low and high are NaN where there is no interval."""

    name: str
    style: int
    points: list[tuple[float, float, float, float]]
    thin: bool = False


@dataclass
class Panel:
    """One small plot.

    Attributes:
        level: a horizontal line and its name, as chance.
        marks: x positions of vertical lines.
        share: y is a share from 0 to 1, printed in percent.
        ticks: where x is labelled; given, x is logarithmic. Empty: round numbers, linear from 0.
        y: what y is, where it is another than the figure's.
    """

    title: str
    lines: list[Line]
    level: tuple[float, str] | None = None
    marks: list[float] = field(default_factory=list)
    share: bool = False
    ticks: list[float] = field(default_factory=list)
    y: str = ""


@dataclass
class Figure:
    """Plots side by side with common labels, their legend, and the table of their numbers.

    Attributes:
        axis: `updates` or `tokens` where the reader chooses between two figures that differ in x alone; else empty.
        own: every panel has axes of its own, rather than the same for all.
    """

    id: str
    caption: str
    x: str
    y: str
    panels: list[Panel]
    table: Table
    names: dict[str, int]
    axis: str = ""
    note: str = ""
    own: bool = False


@dataclass
class Paragraph:
    """Plain text."""

    text: str


@dataclass
class Items:
    """A list of sentences."""

    texts: list[str]


@dataclass
class Commands:
    """Numbered shell lines: (number, line, where it is from)."""

    lines: list[tuple[int, str, str]]


Block = Table | Figure | Paragraph | Items | Commands


@dataclass
class Section:
    """A part of the page under one heading.

    Attributes:
        folded: what it holds, where it is closed until the reader opens it (never in print); empty: open.
    """

    id: str
    title: str
    blocks: list[Block]
    folded: str = ""


def percent(value: float, signed: bool = False) -> str:
    """A share as percent with one decimal, without the sign; a typographic minus."""
    if math.isnan(value):
        return NOTHING
    text = f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
    return ("0.0" if text in ("+0.0", "-0.0") else text).replace("-", "−")


def interval(estimate: Estimate, signed: bool = False) -> str:
    """`71.5 [69.5, 73.4]`, in percent (points where signed)."""
    if math.isnan(estimate.low):
        return percent(estimate.value, signed)
    low, high = percent(estimate.low, signed), percent(estimate.high, signed)
    return f"{percent(estimate.value, signed)} [{low}, {high}]"


def scored(estimate: Estimate, signed: bool = False, mark: tuple[str, str] = ("", "")) -> Text:
    """A cell with a score, or a difference of scores, and its interval."""
    return Text(interval(estimate, signed), sort_key(estimate.value), mark)


def counted(number: int) -> Text:
    """A cell with a whole number."""
    return Text(f"{number:,}", number)


def number_of(number: int, what: str) -> str:
    """`1 record`, `1,200 records`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def code(text: object) -> Text:
    """A cell with a path, hash or setting."""
    return Text(str(text), code=True)


def probability(p: float) -> str:
    """A p value with two significant digits, at least 0.0001."""
    return NOTHING if math.isnan(p) else "< 0.0001" if p < 0.0001 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def sort_key(value: float) -> float | None:
    """For sorting: None where there is no number."""
    return None if math.isnan(value) else value
