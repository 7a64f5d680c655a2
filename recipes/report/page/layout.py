"""What a report holds before it is rendered."""

from __future__ import annotations

from dataclasses import dataclass, field

from recipes.report.page.blocks import Figure, Section


@dataclass
class Report:
    """A report before it is rendered.

    Attributes:
        summary: one sentence a result; the first thing on the page.
        curve: the main figures, which can also be written as a picture.
    """

    title: str
    summary: list[str]
    problems: list[str]
    sections: list[Section]
    curve: list[Figure] = field(default_factory=list)
