"""A report as one HTML page: styles, script and plots inside, no request to anywhere (its own policy forbids them)."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.report.page.blocks import Block, Commands, Figure, Items, Paragraph, Section, Table, Value
from recipes.report.page.svg import draw, swatch

if TYPE_CHECKING:
    from recipes.report.page.layout import Report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def render(report: Report) -> str:
    """The whole page."""
    here = Path(__file__).parent
    style = (here / "report_page.css").read_text(encoding="utf-8")
    script = (here / "report_page.js").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{section.id}">{escape(section.title)}</a></li>' for section in report.sections)
    problems = ""
    if report.problems:
        problems = ('<section class="problems" aria-labelledby="problems"><h2 id="problems">Problems</h2>'
                    f'<p>These files were left out, wholly or in part:</p>{_items(report.problems)}</section>')
    shown = report.picture
    picture = f'<img class="picture" src="{shown.address}" alt="{escape(shown.told)}">\n' if shown else ""
    body = "".join(_section(section) for section in report.sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<title>{escape(report.title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">To the results</a>
<header><h1>{escape(report.title)}</h1></header>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main id="main">
{picture}<section aria-labelledby="in-short"><h2 id="in-short">In short</h2>{_items(report.summary)}</section>
{problems}
{body}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _items(texts: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{_prose(text)}</li>" for text in texts) + "</ul>"


def _prose(text: str) -> str:
    """Escaped text in which `backquotes` mark code."""
    parts = escape(text, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)) \
        if len(parts) % 2 else "`".join(parts)


def _section(section: Section) -> str:
    names = {block.axis for block in section.blocks if isinstance(block, Figure) and block.axis}
    choice = ""
    if len(names) > 1:
        choice = ('<fieldset class="axis" hidden><legend>Plots over</legend>'
                  f'<label><input type="radio" name="{section.id}-axis" value="updates" checked> updates</label>'
                  f'<label><input type="radio" name="{section.id}-axis" value="tokens"> tokens</label></fieldset>')
    blocks = "\n".join(_block(block, f"{section.id}-{number}") for number, block in enumerate(section.blocks))
    heading = f'<h2 id="{section.id}">{escape(section.title)}</h2>'
    if section.folded:
        blocks = f'<details class="fold"><summary>Show {escape(section.folded)}</summary>\n{blocks}</details>'
    return f'<section aria-labelledby="{section.id}">{heading}{choice}\n{blocks}</section>\n'


def _block(block: Block, name: str) -> str:
    if isinstance(block, Table):
        return table(block, name)
    if isinstance(block, Figure):
        return _figure(block)
    if isinstance(block, Items):
        return f'<details class="reading" open><summary>How to read this</summary>{_items(block.texts)}</details>'
    if isinstance(block, Commands):
        lines, before = "", ""
        for number, line, source in block.lines:
            told, before = ("" if source == before else f"<small>from {escape(source)}</small>"), source
            lines += f'<li id="command-{number}" value="{number}">{told}<pre><code>{escape(line)}</code></pre></li>'
        return f'<ol class="commands">{lines}</ol>'
    assert isinstance(block, Paragraph)
    return f"<p>{_prose(block.text)}</p>"


def table(content: Table, name: str) -> str:
    """A table in a box that scrolls sideways; its headings are buttons that sort."""
    heads = "".join(
        f'<th scope="col"><button type="button">{escape(head)}<span class="arrow" aria-hidden="true"></span></button></th>'
        if content.sortable and len(content.rows) > 1 else f'<th scope="col">{escape(head)}</th>' for head in content.head)
    rows = "".join("<tr>" + "".join(_cell(value, place == 0) for place, value in enumerate(row)) + "</tr>\n"
                   for row in content.rows)
    sortable = ' class="sortable"' if content.sortable and len(content.rows) > 1 else ""
    caption = f'<p class="caption" id="{name}-caption">{escape(content.caption)}</p>'  # a <caption> would scroll away sideways
    return (f'{caption}<div class="scroll" role="region" aria-labelledby="{name}-caption" tabindex="0">'
            f'<table id="{name}"{sortable} aria-labelledby="{name}-caption"><thead><tr>{heads}</tr></thead>'
            f'<tbody>\n{rows}</tbody></table></div>')


def _cell(value: Value, first: bool) -> str:
    tag, scope = ("th", ' scope="row"') if first else ("td", "")
    if isinstance(value, str):
        return f"<{tag}{scope}>{escape(value)}</{tag}>"
    key = f' data-key="{value.key!r}"' if value.key is not None else ""
    number = ' class="number"' if value.key is not None else ""
    text = f"<code>{escape(value.text)}</code>" if value.code else escape(value.text)
    if value.mark[0]:
        text += f' <abbr class="mark" title="{escape(value.mark[1])}">{value.mark[0]}</abbr>'
    text += "".join(f' <a href="#{target}">{escape(label)}</a>' for label, target in value.links)
    return f"<{tag}{scope}{number}{key}>{text}</{tag}>"


def _figure(figure: Figure) -> str:
    legend = "".join(f"<li>{swatch(style)} {escape(name)}</li>" for name, style in figure.names.items())
    plots = "".join(f'<div class="panel"><h4>{escape(panel.title)}</h4>{draw(figure, number)}</div>'
                    for number, panel in enumerate(figure.panels))
    axis = f' data-axis="{figure.axis}"' if figure.axis else ""
    note = f"<p>{_prose(figure.note)}</p>" if figure.note else ""
    return (f'<figure id="{figure.id}"{axis} aria-labelledby="{figure.id}-h"><h3 id="{figure.id}-h">{escape(figure.caption)}</h3>'
            f'<ul class="legend">{legend}</ul><div class="panels">{plots}</div><figcaption>{note}</figcaption>'
            f'<details><summary>The numbers of these plots</summary>{table(figure.table, figure.id + "-table")}</details>'
            '</figure>')
