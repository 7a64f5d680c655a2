"""What a report holds before it is rendered."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.report_blocks import Section


@dataclass
class Report:
    """A report before it is rendered.

    Attributes:
        summary: one sentence a result; the first thing on the page.
    """

    title: str
    summary: list[str]
    problems: list[str]
    sections: list[Section]
