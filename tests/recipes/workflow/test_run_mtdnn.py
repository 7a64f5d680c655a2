"""The recipe of the multi-task table makes it from nothing but texts and task files; here two tasks, one language, tiny sizes."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipes.cli import main
from tests.killing import ROOT

WORDS = ("tilo", "mapu", "reno", "sadi", "kove", "buna")
RECIPE = ROOT / "recipes" / "run" / "mtdnn-small.yaml"


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(4, 9))) for _ in range(count)]


def write_data(root: Path) -> None:
    """Text, CoLA (whether the last word is `buna`) and RTE (whether the second sentence is the first) in GLUE's own layout."""
    (root / "text").mkdir()
    (root / "text" / "en.txt.gz").write_bytes(gzip.compress("\n".join(sentences(3000, 1)).encode()))
    for folder, header in (("CoLA", ""), ("RTE", "index\tsentence1\tsentence2\tlabel\n")):
        (root / "glue" / folder).mkdir(parents=True)
        for split, count, seed in (("train", 96, 2), ("dev", 40, 3)):
            rows = []
            for number, text in enumerate(sentences(count, seed)):
                even = number % 2
                rows.append(f"x\t{even}\t*\t{text} {'buna' if even else 'tilo'}" if folder == "CoLA" else
                            f"{number}\t{text}\t{text if even else WORDS[number % 6]}\t{'' if even else 'not_'}entailment")
            (root / "glue" / folder / f"{split}.tsv").write_text(header + "\n".join(rows) + "\n")


def reduced(root: Path) -> Path:
    """The shipped recipe with two of its tasks, one seed, no new languages and no second training, at sizes that take seconds."""
    content: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
    content["values"] = {"text": str(root / "text"), "glue": str(root / "glue")}
    content["languages"] = {"en": content["languages"]["en"]}
    content["prepare"] = {"vocab_size": 60, "documents": "line"}
    content["languages"]["en"].pop("valid_documents")
    content["tasks"] = {name: content["tasks"][name] for name in ("cola", "rte")}
    content["pretrain"] = {**content["pretrain"], "recipe": str(ROOT / content["pretrain"]["recipe"]), "layers": 1, "width": 16,
                           "heads": 2, "ffn": 32, "tokens_per_sample": 32, "updates": 20, "warmup": 2, "validate_every": 10}
    for stage in ("finetune", "multitask"):
        content[stage] = {**content[stage], "updates": 8, "validate_every": 4, "cpu": True}
    content["mixtures"]["mtdnn"].pop("then")
    content["seeds"], content["resources"] = [1], {"default": {"threads": 1}}
    content["evaluate"] = {"device": "cpu"}
    path = root / "mtdnn-small.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.slow
def test_it_makes_the_table_from_nothing_but_the_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fairseq")
    pytest.importorskip("snakemake")
    write_data(tmp_path)
    words = ["run", reduced(tmp_path), "--output", tmp_path / "runs" / "mtdnn", "--cores", 2, "--quiet"]
    assert main([str(word) for word in words]) == 0, capfd.readouterr().err
    run = tmp_path / "runs" / "mtdnn"
    assert len(list((run / "multitask").iterdir())) == 1 and len(list((run / "finetune").iterdir())) == 2
    page = (run / "report" / "report.md").read_text()
    table = page[page.index("Several tasks at once"):].split("\n\n")[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert rows[0][0] == "arm" and [row[0] for row in rows[2:]] == ["standard", "standard, multi-task", "… less standard"]
    assert all(cell not in ("", "–") for row in rows[2:] for cell in row[1:4])
    # each score is that of the record it names
    scored = {json.loads(path.read_text())[0]["task"] for path in run.glob("evaluate/*/results.json")}
    assert scored == {"cola", "rte"}
    capfd.readouterr()
    assert main([str(word) for word in words]) == 0  # nothing is left to do
    assert "9 were in the store" in capfd.readouterr().out
