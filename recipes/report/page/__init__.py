"""How a report is drawn: blocks, HTML, Markdown, plots."""
