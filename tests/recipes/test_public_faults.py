"""The small files behind public reports, and a list of bad settings, through the commands: each its right value, or one line and
exit code 2. The same kinds have tests of their own, with texts of their own, beside what they test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from recipes.cli import main
from tests.killing import ROOT

CASES = ROOT.parent / "shared" / "faults" / "cases"
pytestmark = [pytest.mark.realdata, pytest.mark.skipif(not CASES.is_dir(), reason="no real data")]
REFUSED = {
    "02-archives/de.tar.gz": "tar",
    "02-archives/de.txt.zip": "zip",
    "03-gz-members/damaged2nd.txt.xz": "damaged or cut short after line 1268",
    "04-no-suffix-json/dewiki-pages-articles.xml": "XML",
    "05-line-separators/nul.txt": "NUL",
}
"""File -> a word of its one line."""
READ = {
    "01-zst-long/de-skip-first.txt.zst": (2464, ()), "02-archives/de.txt.bz2": (2464, ()), "03-gz-members/two.txt.xz": (2464, ()),
    "03-gz-members/pad.txt.xz": (2464, ()), "05-line-separators/mac.txt": (297, ()),
    "04-no-suffix-json/RC_2010-01.zst": (394, ()),
    "07-parquet-json/nested.jsonl": (493, ("--text-field", "doc.text")), "07-parquet-json/null.jsonl": (492, ("--skip-empty",)),
}
"""File -> training documents, and the options it needs."""


def prepare(case: str, output: Path, *more: str) -> int:
    return main(["prepare", str(CASES / case), "--language", "de", "--output", str(output), "--vocab-size", "500", "--documents",
                 "line", "--workers", "1", *more])


def one_line(said: str) -> str:
    """The only line that is no warning."""
    lines = [line for line in said.splitlines() if not line.startswith("relexify: warning: ")]
    assert len(lines) == 1 and lines[0].startswith("relexify: error: "), said
    return lines[0]


@pytest.mark.parametrize(("case", "word"), REFUSED.items())
def test_what_is_no_text_is_one_line_and_nothing_is_written(case, word, tmp_path, capfd):
    assert prepare(case, tmp_path / "out") == 2
    assert word in one_line(capfd.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", READ)
def test_what_is_text_is_read_to_its_end(case, tmp_path):
    documents, more = READ[case]
    assert prepare(case, tmp_path / "out", *more) == 0
    splits = json.loads((tmp_path / "out" / "prepare.json").read_text())["splits"]
    assert splits["train"]["documents"] == documents
    assert splits["train"]["unknown"] < 0.03 * splits["train"]["tokens"]


def test_a_stray_blank_line_is_warned_of(tmp_path, capfd):
    words = ["prepare", str(CASES / "06-stray-blank" / "stray.txt"), "--language", "de", "--output", str(tmp_path / "out"),
             "--vocab-size", "500", "--workers", "1"]
    assert main(words) == 0
    assert re.search(r"relexify: warning: \d+ % of the tokens are held out", capfd.readouterr().err)


def test_a_piece_with_a_line_break_is_refused_before_anything_is_written(tmp_path, capfd):
    words = ["prepare", str(CASES / "02-archives" / "de.txt.bz2"), "--language", "de", "--output", str(tmp_path / "out"),
             "--tokenizer", str(CASES / "08-sentencepiece" / "uds-nl.model")]
    assert main(words) == 2
    assert "line break" in one_line(capfd.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_decomposed_contexts_and_composed_answers_meet():
    """All 97 questions have their answer, by the form in which the context is written."""
    from tasks.qa.data import aligned_span, read_squad_file

    questions = read_squad_file(CASES / "11-qa-files" / "ft" / "train-v1.1.json").questions
    assert len(questions) == 97
    assert all(aligned_span(one, one.answers[0]) is not None for one in questions)


OLD = ROOT / "tests" / "fixtures" / "artefacts"
PRETRAIN = [str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml"), f"data={OLD / 'prepared-qab'}", "output=out"]
VERBS = {
    "adapt-num": ["adapt", "--body", str(OLD / "roberta"), "--data", str(OLD / "prepared-qab"), "--output", "out"],
    "finetune-num": ["finetune", "--body", str(OLD / "roberta"), "--task", "xnli", "--data", str(OLD), "--output", "out"],
    "evaluate-num": ["evaluate", "--body", str(OLD / "squad"), "--embedding", str(OLD / "qab"), "--task", "squad", "--split",
                     "dev", "--data", str(OLD), "--output", "out"],
    "pretrain-num": ["pretrain", *PRETRAIN], "world-num": ["world", "--output", "out"],
    "electra-num": ["pretrain", PRETRAIN[0].replace("demo-", "demo-electra-"), *PRETRAIN[1:]],
}
"""What the list calls a verb -> a command that lacks the bad setting only."""


def bad_settings() -> list[tuple[str, str]]:
    page = CASES.parent / "bad-inputs.md"
    rows = re.findall(r"^\| (\S+) \| (\S+=.+?) \|", page.read_text(encoding="utf-8"), flags=re.M) if page.is_file() else []
    return [(verb, word) for verb, word in rows if verb in VERBS]


@pytest.mark.parametrize(("verb", "word"), bad_settings())
def test_a_setting_out_of_range_is_one_line_and_nothing_is_written(verb, word, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main([*VERBS[verb], word]) == 2
    assert word.split("=")[0].lstrip("-").replace("-", "_") in one_line(capfd.readouterr().err).replace("-", "_")
    assert list(tmp_path.iterdir()) == []
