"""The Markdown page shows what records say and never lets it become markup."""

import itertools

from recipes.report.page.blocks import Table, Text
from recipes.report.page.markdown import table


def test_html_in_a_record_stays_text():
    text = "<script>alert(1)</script><img src=x onerror=y>"
    page = table(Table(text, [text], [[text, Text(text, links=((text, '#a'),), mark=(text, ''))]]))
    assert "script" in page and all(before == "\\" for before, sign in itertools.pairwise(page) if sign == "<")
