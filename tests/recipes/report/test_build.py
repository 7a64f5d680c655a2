"""The pages: what stands on them, that they are whole, self-contained and the same every time; the command."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from pretrain.base.errors import UserError
from recipes.cli import main
from recipes.report.build import build, report
from recipes.report.page.html import render
from recipes.report.page.markdown import line
from tests.killing import ROOT, warm
from tests.recipes.report.report_world import make_run, record, write_gold, write_scores

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Collects ids, references, tags and text, and checks that tags are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        for name in ("aria-labelledby", "aria-describedby"):
            self.references += found.get(name, "").split()
        for name in ("href", "src", "srcset", "action"):
            if name in found:
                self.addresses.append(found[name])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("world") / "run")


@pytest.fixture(scope="module")
def html(run):
    return render(build([run]))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_is_well_formed(page):
    assert page.open == []


def test_ids_are_unique_and_every_label_and_link_leads_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    anchors = [address[1:] for address in page.addresses if address.startswith("#")]
    assert set(page.references) | set(anchors) <= set(page.ids) and len(anchors) > 20


def test_the_page_asks_for_nothing(page, html):
    assert [address for address in page.addresses if not address.startswith("#")] == ["data:,"]
    assert not re.search(r"https?://|@import|url\(", html)
    policy = next(found for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_every_plot_has_a_title_a_description_and_its_numbers(page):
    plots = [found for tag, found in page.tags if found.get("class") == "plot"]
    # mean and difference by budget, scores and losses of two languages, each over updates and tokens; two bodies
    assert len(plots) == 2 * 2 + 2 * 2 + 2 * 2 + 2
    assert all(found["role"] == "img" and len(found["aria-labelledby"].split()) == 2 for found in plots)
    assert all(f"{found['id']}-table" in page.ids for tag, found in page.tags if tag == "figure")


def test_scores_stand_with_split_interval_and_count(page):
    assert "xnli, split test: accuracy, % [95 % interval]; chance 33.3" in page.text
    assert re.search(r"70\.0 \[\d\d\.\d, \d\d\.\d\] △\s*60", page.text)


def test_one_seed_is_said(page):
    assert "One seed: the intervals are over test examples" in page.text


def test_a_picture_that_is_given_stands_first_and_inside_the_page(run, tmp_path):
    (tmp_path / "p.png").write_bytes(b"\x89PNG a picture")
    report([run], tmp_path / "out", picture=tmp_path / "p.png", told="losses & scores")
    text = (tmp_path / "out" / "report.html").read_text()
    page = Page(text)
    (shown,) = [found for tag, found in page.tags if tag == "img"]
    assert base64.b64decode(shown["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG a picture"
    assert shown["alt"] == "losses & scores" and page.open == []
    assert text.index("<main") < text.index("<img") < text.index("In short") and "img-src data:" in text


def test_several_seeds_are_summed_up_over_seeds(tmp_path):
    text = Page(render(build([make_run(tmp_path / f"seed-{seed}", seed) for seed in (1, 2)]))).text
    assert "pre-training seeds 1, 2." in text and "One seed" not in text
    assert "over seeds marked better in 0 and worse in 0 of 2 languages." in text  # without spread there is no test
    assert re.search(r"△\s*60\s*2 seeds", text)


def test_headings_sort_by_real_buttons(page):
    tables = [found for tag, found in page.tags if tag == "table" and found.get("class") == "sortable"]
    assert len(tables) > 8 and [tag for tag, _ in page.tags].count("button") > 40


def test_fingerprints_settings_software_and_commands_are_there(page):
    for text in ("body-forgetting-1", "forget_every", "2.13.0", "relexify evaluate --body run/forgetting/nli", "run/commands.sh",
                 "the embedding is reset 9 times, every 100 updates from 100 to 900"):
        assert text in page.text, text


def test_problems_come_to_the_top(run, tmp_path):
    (tmp_path / "results.json").write_text("[{]")
    text = Page(render(build([run, tmp_path]))).text
    assert text.index("Problems") < text.index("How to read this")
    assert f"{tmp_path.name}/results.json: 1: expected a JSON file, but it is not valid JSON" in text


def test_names_from_files_cannot_break_the_page(tmp_path):
    write_gold(tmp_path / "data", "qab")
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>|`"
    content, predictions = record(tmp_path, "standard", "qab", range(9))
    content["software"] = {evil: evil}
    content["body"]["body_made"] = {"recipe": {evil: evil}, "seed": evil, "updates": 1}
    write_scores(tmp_path / "scores", [(content, predictions)])
    page = Page(render(build([tmp_path], title=evil)))
    assert evil in page.text and [tag for tag, _ in page.tags].count("script") == 1 and "img" not in dict(page.tags)


def test_the_same_run_gives_the_same_pages_wherever_it_lies(run, tmp_path):
    import shutil

    copy = tmp_path / "copied" / "run"
    shutil.copytree(run, copy)
    assert render(build([copy])) == render(build([run]))


def test_markdown_holds_the_same_tables(run, tmp_path):
    report([run], tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| language | standard | forgetting | n | interval over |" in text
    widths = {line.count("|") for line in text.split("**xnli, split test: against")[1].split("\n\n")[1].splitlines()}
    assert len(widths) == 1


@pytest.mark.parametrize(("text", "printed"), [
    ("a*b* <c> `d", r"a\*b\* \<c\> \`d"), ("held_out _x_", r"held_out \_x\_"), ("[1.0, 2.0] [x](y)", r"[1.0, 2.0] [x]\(y)"),
    ("two\nlines", "two lines")])
def test_markdown_prints_names_as_they_are(text, printed):
    assert line(text) == printed


def test_the_command_writes_both_pages_and_says_the_result(run, tmp_path, capsys):
    assert main(["report", str(run), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "forgetting 50.8" in said and str(tmp_path / "out" / "report.html") in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.md"]


def unscored(run):
    for path in run.rglob("results.json"):
        path.unlink()
    return run


def test_embeddings_that_nobody_scored_are_compared_by_their_loss(tmp_path):
    made = build([unscored(make_run(tmp_path / "run"))])
    text = Page(render(made)).text
    assert "none of them scored on a task" in made.summary[0] and "No task was scored" in text
    assert "Held-out loss of the new embeddings against standard: mean over qab, qac" in text


def test_an_unknown_baseline_is_told_without_scores_too(tmp_path):
    with pytest.raises(UserError, match="did you mean 'standard'"):
        build([unscored(make_run(tmp_path / "run"))], "standart")


def test_tables_of_the_paper_need_scores(tmp_path, capsys):
    assert main(["paper-tables", str(unscored(make_run(tmp_path / "run")))]) == 2
    assert "nothing to report: no results.json" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    (["report", "{run}", "--output", "{full}"], "the output already exists"),
    (["report", "{run}", "--output", "{run}", "--overwrite"], "--overwrite replaces a report only"),
    (["report", "{run}", "--output", "{new}", "--baseline", "standart"], "did you mean 'standard'"),
    (["report", "{new}", "--output", "{new}"], "expected the folder of a run, found nothing"),
    (["paper-tables", "{empty}"], "nothing to report"),
])
def test_a_users_mistake_is_one_line(run, tmp_path, words, said, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "report.md").write_text("old")
    (tmp_path / "empty").mkdir()
    places = {"run": run, "full": tmp_path / "full", "new": tmp_path / "new", "empty": tmp_path / "empty"}
    assert main([word.format(**places) for word in words]) == 2
    text = capsys.readouterr().err.strip()
    assert said in text and "\n" not in text and not (tmp_path / "new").exists()


def test_an_unwritable_report_leaves_the_old_one(run, tmp_path, monkeypatch):
    report([run], tmp_path / "out")
    before = (tmp_path / "out" / "report.html").read_bytes()
    monkeypatch.setattr("recipes.report.page.markdown.render", lambda made: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report([run], tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_unknown_arm_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(UserError, match="unknown arm"):
        report([run], tmp_path / "out", baseline="xyz")
    assert not (tmp_path / "out").exists()


def test_a_report_needs_no_fairseq(run, tmp_path):
    code = ("import sys; sys.modules['fairseq'] = None\nfrom recipes.cli import main\n"
            f"sys.exit(main(['report', {str(run)!r}, '--output', {str(tmp_path / 'out')!r}]))")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, env=warm())
    assert (tmp_path / "out" / "report.html").is_file()
