"""The report in a real headless Chromium: narrow, wide, dark, printed, sorted by mouse and keyboard, without a request.

Skipped where there is no Chromium; `apt-get install --no-install-recommends chromium` brings one, $RELEXIFY_CHROMIUM names it.
"""

from __future__ import annotations

import re

import pytest

from recipes.report.build import report
from tests.browser import Browser, find
from tests.recipes.report.report_budget_world import make_replication
from tests.recipes.report.report_world import make_run

pytestmark = pytest.mark.skipif(find() is None, reason="no Chromium: apt-get install chromium, or set RELEXIFY_CHROMIUM")
TABLE = "#results-1"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report([make_run(folder / "run")], folder / "out")
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def browser(page):
    opened = Browser(find())
    yield opened
    opened.close()


def column(browser, number):
    return browser.value(f"[...document.querySelectorAll('{TABLE} tbody tr')].map(r => r.cells[{number}].textContent)")


def focused(browser):
    return browser.value("document.activeElement.textContent")


@pytest.mark.parametrize("width", [360, 1280])
def test_it_is_drawn_and_nothing_overflows(browser, page, width):
    browser.open(page, width)
    picture = browser.screenshot()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000  # an empty page has about 2,000
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value("document.querySelector('svg.plot').getBoundingClientRect().height") > 100


def test_dark_is_dark(browser, page):
    colours = []
    for dark in (False, True):
        browser.open(page, 800, dark=dark)
        colours.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(22, 24, 27)"]


def test_a_click_sorts_by_number_and_a_second_one_turns_it(browser, page):
    browser.open(page, 1280)
    browser.click(f"{TABLE} thead th:nth-child(2) button")
    up = [float(text.split()[0]) for text in column(browser, 1)]
    assert up == sorted(up) and len(set(up)) > 2
    browser.click(f"{TABLE} thead th:nth-child(2) button")
    assert [float(text.split()[0]) for text in column(browser, 1)] == up[::-1]
    assert browser.value(f"document.querySelector('{TABLE} th:nth-child(2)').getAttribute('aria-sort')") == "descending"


def test_enter_sorts_and_tab_reaches_the_next_heading(browser, page):
    browser.open(page, 1280)
    browser.value(f"document.querySelector('{TABLE} thead th:nth-child(3) button').focus()")
    before = column(browser, 2)
    browser.press("Enter", 13, "\r")
    after = column(browser, 2)
    assert after != before and after == sorted(before, key=lambda text: float(text.split()[0]))
    browser.press("Tab", 9)
    assert focused(browser) == "n"


def test_the_reader_chooses_the_axis(browser, page):
    browser.open(page, 1280)
    shown = "[...document.querySelectorAll('section[aria-labelledby=%s] figure[data-axis]')]" \
        ".filter(f => f.offsetHeight > 0).map(f => f.dataset.axis)"
    for section in ("budgets", "curves"):
        assert set(browser.value(shown % section)) == {"updates"}
    browser.click("input[name=curves-axis][value=tokens]")
    assert set(browser.value(shown % "curves")) == {"tokens"} and set(browser.value(shown % "budgets")) == {"updates"}
    assert browser.value("document.querySelector('input[name=budgets-axis][value=updates]').checked")


def test_a_link_opens_the_folded_command(browser, page):
    browser.open(page, 1280)
    assert not browser.value("document.querySelector('#command-1').checkVisibility()")
    browser.value("document.querySelector('a[href=\"#command-1\"]').closest('details').open = true")
    browser.click('a[href="#command-1"]')
    assert browser.value("document.querySelector('#command-1').checkVisibility()")


def test_it_prints_with_everything_unfolded(browser, page):
    browser.open(page, 1280)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 4
    browser.do("Emulation.setEmulatedMedia", media="print")
    assert browser.value("document.querySelector('#command-1').getBoundingClientRect().height") > 0
    assert browser.value("document.querySelector('nav').offsetHeight") == 0


@pytest.fixture(scope="module")
def replication(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replication")
    report([make_replication(folder / "run")], folder / "out", curve=folder / "curve.svg")
    return folder


@pytest.mark.parametrize("width", [360, 1280])
def test_a_replication_of_four_arms_stays_inside_the_window(browser, replication, width):
    browser.open(replication / "out" / "report.html", width)
    assert browser.value("document.documentElement.scrollWidth") <= width and browser.complaints() == []
    wide = "[...document.querySelectorAll('#budgets ~ * .panel svg')].every(s => s.getBoundingClientRect().right <= innerWidth)"
    assert browser.value(wide)


def test_the_curve_of_a_readme_is_a_picture_in_light_and_dark(browser, replication):
    colours = []
    for dark in (False, True):
        browser.open(replication / "curve.svg", 760, dark=dark)
        colours.append([browser.value(f"getComputedStyle(document.querySelector('{what}')).{style}")
                        for what, style in (("rect", "fill"), ("text", "fill"), (".s1 path", "stroke"))])
    assert colours[0][0] == "rgb(255, 255, 255)" and colours[1][0] == "rgb(22, 24, 27)"
    assert all(light != night for light, night in zip(*colours, strict=True)) and browser.complaints() == []


def test_nothing_is_requested_and_nothing_complains(browser, page):
    browser.open(page, 800)
    assert browser.requests() == [] and browser.complaints() == []
    browser.value("fetch('https://example.invalid/').catch(() => 0)")  # the page's own policy refuses, and we would see it
    assert browser.complaints() != []
