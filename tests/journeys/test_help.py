"""Examples that `--help` prints run as they are written, in a folder where what they read is there. Those of the README's journey
are run there; those that train, download or take minutes are only parsed (tests/test_documents.py)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from recipes.cli import main
from tests.journeys.inputs import squad, write_json, write_texts
from tests.killing import ROOT
from tests.test_documents import commands, examples

OLD = ROOT / "tests" / "fixtures" / "artefacts"
RUN = (
    "prepare sw.txt.gz", "prepare part1", "assemble", "evaluate --body runs/xnli", "score-predictions",
    "run recipes/run/tiny.yaml --dry-run", "config", "report seed-1", "predict --body runs/xnli", "detect", "fill",
    "inspect runs/sw",
)
"""How the examples begin that are run."""
BUT = ("--tokens 5M", "--dictionary")
"""Words of those that need a large text, or a dictionary of two languages."""


def chosen() -> list[str]:
    found = [re.split(r"\s{3,}", line)[0] for text in examples().values() for line in commands(text)]
    return sorted({line for line in found if line.removeprefix("relexify ").startswith(RUN)
                   and not any(word in line for word in BUT)})


def lay_out(folder: Path) -> None:
    """What the examples read, under the names that they give it."""
    (folder / "recipes").symlink_to(ROOT / "recipes")
    for name, place in (("xnli", "xnli"), ("en", "roberta"), ("sw", "qab"), ("en-electra", "electra")):
        shutil.copytree(OLD / place, folder / "runs" / name)
    shutil.copytree(OLD / "prepared-qab", folder / "data" / "sw")
    for name in ("xnli", "XNLI-1.0"):
        shutil.copytree(OLD, folder / name, ignore=lambda place, names: [one for one in names if not one.endswith(".tsv")])
    write_texts(folder)
    for name in ("part1", "part2"):
        import zstandard

        lines = "".join(json.dumps({"content": line}) + "\n" for line in (folder / "sw.txt").read_text().splitlines() if line)
        (folder / f"{name}.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    for name in ("seed-1", "seed-2", "seed-3"):
        shutil.copytree(OLD / "scores", folder / name)
    (folder / "sentences.txt").write_text("a <mask> b\n")
    (folder / "pairs.tsv").write_text("a b\tc d\n")
    gold = squad("en", 5, 1)
    for name in ("xquad.th.json", "dev-v2.0.json"):
        write_json(folder / name, gold)
    ids = [question["id"] for paragraph in gold["data"][0]["paragraphs"] for question in paragraph["qas"]]
    write_json(folder / "predictions.json", dict.fromkeys(ids, "x"))
    write_json(folder / "null_odds.json", dict.fromkeys(ids, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("command", chosen())
def test_an_example_of_help_runs(command, tmp_path, monkeypatch, capfd):
    pytest.importorskip("zstandard")
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    line, _, file = command.partition(" > ")
    words = shlex.split(line, comments=True)[1:]
    for number, word in enumerate(words):  # what is written beside what is there
        if word == "--output" and Path(words[number + 1]).exists():
            shutil.rmtree(words[number + 1])
    assert main(words) == 0, capfd.readouterr().err
    if "--output" in words:
        assert Path(words[words.index("--output") + 1]).exists()
    elif file:
        assert capfd.readouterr().out.strip()


def test_there_are_examples_of_each_that_is_run():
    assert [start for start in RUN if not any(line.removeprefix("relexify ").startswith(start) for line in chosen())] == []
