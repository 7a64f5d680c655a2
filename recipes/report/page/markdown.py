"""A report as Markdown: the same tables as the page; the plots' numbers as tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recipes.report.page.blocks import Block, Commands, Figure, Items, Paragraph, Table, Value

if TYPE_CHECKING:
    from recipes.report.page.layout import Report


def render(report: Report) -> str:
    """The whole page."""
    parts = [f"# {line(report.title)}", "\n".join(f"- {_prose(text)}" for text in report.summary)]
    if report.problems:
        parts += ["## Problems", "\n".join(f"- {line(text)}" for text in report.problems)]
    for section in report.sections:
        parts.append(f"## {line(section.title)}")
        tokens_too = [block for block in section.blocks if not (isinstance(block, Figure) and block.axis == "tokens")]
        parts += [_block(block) for block in tokens_too]
    return "\n\n".join(parts) + "\n"


def _escape(text: str) -> str:
    """Text that Markdown prints as it is; brackets and inner underscores stay bare: alone they do nothing."""
    for sign in "\\`*<>":
        text = text.replace(sign, "\\" + sign)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text).replace("](", "]\\(")


def line(text: str) -> str:
    """Escaped text on one line."""
    return " ".join(_escape(text).split())


def _prose(text: str) -> str:
    """`line` of a text in which `backquotes` mark code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return line(text)
    return " ".join("`".join(part if place % 2 else _escape(part) for place, part in enumerate(parts)).split())


def _cell(value: Value) -> str:
    if isinstance(value, str):
        return line(value).replace("|", "\\|")
    links = " ".join(line(label.strip("[]")) for label, _ in value.links)
    parts = [_code(value.text) if value.code else line(value.text), line(value.mark[0]), links]
    return " ".join(part for part in parts if part).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`" if "`" not in text else line(text)


def table(content: Table) -> str:
    """A table with its caption above."""
    lines = [f"**{line(content.caption)}**", "", "| " + " | ".join(map(_cell, content.head)) + " |",
             "|---" * len(content.head) + "|"]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in content.rows]
    return "\n".join(lines)


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return table(block)
    if isinstance(block, Figure):
        return f"{table(Table(block.caption, block.table.head, block.table.rows))}\n\n{_prose(block.note)}".rstrip()
    if isinstance(block, Items):
        return "\n".join(f"- {_prose(text)}" for text in block.texts)
    if isinstance(block, Commands):
        return "\n".join(f"{number}. {_code(text)} ({line(source)})" for number, text, source in block.lines)
    assert isinstance(block, Paragraph)
    return _prose(block.text)

