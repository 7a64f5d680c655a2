"""What a report holds before it is rendered."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field

from recipes.report.page.blocks import Figure, Section


@dataclass(frozen=True)
class Picture:
    """A PNG file, and what it shows in words, for those who cannot see it."""

    data: bytes
    told: str

    @property
    def address(self) -> str:
        """As a part of the page that shows it."""
        return "data:image/png;base64," + b64encode(self.data).decode()


@dataclass
class Report:
    """A report before it is rendered.

    Attributes:
        summary: one sentence a result; the first thing on the page.
        curve: the main figures, which can also be written as a picture.
        picture: a drawing of the results that somebody else made; it stands above everything.
    """

    title: str
    summary: list[str]
    problems: list[str]
    sections: list[Section]
    curve: list[Figure] = field(default_factory=list)
    picture: Picture | None = None
