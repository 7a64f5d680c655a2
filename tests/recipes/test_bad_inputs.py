"""Damaged artefacts, records, recipes, task files and options of a public list, through the commands: each gives one line that
names it and exit code 2, and nothing is written. What of the list is a setting out of range: test_public_faults.py."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from recipes.cli import main
from tests.killing import ROOT

OLD = ROOT / "tests" / "fixtures" / "artefacts"
PAGE = ROOT.parent / "shared" / "faults" / "bad-inputs.md"
DEMO = ROOT / "recipes" / "pretrain" / "demo-standard.yaml"
DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5_000
Make = Callable[[Path], list[Any]]
"""In a folder for inputs: makes them, and gives the words of the command, whose output is `out`."""


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A record of JSON after a change."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return path


def body(change: Callable[[dict[str, Any]], Any], name: str = "roberta/body") -> Make:
    def make(folder: Path) -> list[Any]:
        place = shutil.copytree(OLD / name, folder / "body")
        edited(place / "body.json", change)
        return ["assemble", "--body", place, "--embedding", OLD / "qab", "--output", "out"]
    return make


def embedding(change: Callable[[dict[str, Any]], Any] = dict, tensors: Callable[[dict[str, Any]], Any] = dict) -> Make:
    def make(folder: Path) -> list[Any]:
        place = shutil.copytree(OLD / "qab", folder / "qab")
        edited(place / "embedding.json", change)
        save_file(tensors(load_file(place / "embedding.safetensors")), place / "embedding.safetensors")
        return ["assemble", "--body", OLD / "xnli", "--embedding", place, "--output", "out"]
    return make


def prepared(damage: Callable[[Path], Any], *words: str) -> Make:
    """Prepared text after some damage, for `inspect` or the command of these words."""
    def make(folder: Path) -> list[Any]:
        place = shutil.copytree(OLD / "prepared-qab", folder / "data")
        damage(place)
        return [*(words or ("inspect",)), f"data={place}", "output=out"] if words else ["inspect", place]
    return make


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def checkpoint(change: Callable[[dict[str, Any]], Any]) -> Make:
    def make(folder: Path) -> list[Any]:
        tensors = load_file(OLD / "roberta" / "body" / "body.safetensors")
        lexicon = load_file(OLD / "roberta" / "embedding" / "embedding.safetensors")
        shape = json.loads((OLD / "roberta" / "body" / "body.json").read_text())["architecture"]
        state = {"model": {**tensors, "encoder.embed_tokens.weight": lexicon["weight"], "lm_head.bias": lexicon["bias"]},
                 "cfg": {"model": {"encoder_layers": shape["layers"], "encoder_embed_dim": shape["width"],
                                   "encoder_attention_heads": shape["heads"], "encoder_ffn_embed_dim": shape["ffn"],
                                   "token_embed_dim": 0, "max_positions": shape["max_positions"], "relative_buckets": 0,
                                   "relative_distance": 128}, "task": {"data": str(OLD / "prepared-qab")}},
                 "optimizer_history": [{"num_updates": 7}]}
        change(state)
        torch.save(state, folder / "c.pt")
        return ["split", folder / "c.pt", "--output", "out"]
    return make


def text(name: str, content: str, *words: str) -> Make:
    """A file of text that is prepared."""
    def make(folder: Path) -> list[Any]:
        (folder / name).write_text(content)
        return ["prepare", folder / name, "--language", "sw", "--output", "out", *words]
    return make


def five(*words: str) -> Make:
    def make(folder: Path) -> list[Any]:
        torch.save(5, folder / "five.pt")
        return [words[0], folder / "five.pt", *words[1:]]
    return make


def recipe(content: str) -> Make:
    def make(folder: Path) -> list[Any]:
        (folder / "r.yaml").write_text(content)
        return ["pretrain", folder / "r.yaml", f"data={OLD / 'prepared-qab'}", "output=out"]
    return make


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{last}'] * 9)}]\n" for last, one in zip("abcdefgh", "bcdefghi", strict=True)) + "seed: *i\n"


def tiny(*words: str) -> Make:
    return lambda folder: ["run", ROOT / "recipes" / "run" / "tiny.yaml", *words, "--output", "out"]


def in_file(*words: str) -> Make:
    """`run` with an option that names a file where a folder has to be."""
    def make(folder: Path) -> list[Any]:
        (folder / "file").write_text("x")
        named = [word.replace("FILE", str(folder / "file")) for word in words]
        return ["run", ROOT / "recipes" / "run" / "tiny.yaml", *named, "--output", "out"]
    return make


def deep_run(folder: Path) -> list[Any]:
    (folder / "r.yaml").write_text(f"seeds: {DEEP}\n")
    return ["run", folder / "r.yaml", "--output", "out"]


def task(name: str, file: str, content: str) -> Make:
    def make(folder: Path) -> list[Any]:
        (folder / file).write_text(content)
        return ["finetune", "--body", OLD / "roberta", "--task", name, "--data", folder, "--train-file", folder / file,
                "--output", "out"]
    return make


def json_file(verb: str, name: str, content: str, *words: str) -> Make:
    def make(folder: Path) -> list[Any]:
        (folder / "in").mkdir()
        (folder / "in" / name).write_text(content)
        return [verb, folder / "in", *words]
    return make


def duplicates(folder: Path) -> list[Any]:
    (folder / "gold.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": "a b", "qas": [
        {"id": "q", "question": "?", "answers": [{"text": "b", "answer_start": 2}]}]}]}]}))
    (folder / "predictions.json").write_text('{"q": "a", "q": "b"}')
    return ["score-predictions", "--task", "squad", "--gold", folder / "gold.json", "--predictions", folder / "predictions.json"]


def dangling(folder: Path) -> list[Any]:
    (folder / "link").symlink_to(folder / "nothing" / "there")
    return [*text("t.txt", "a b\n" * 100)(folder)[:-1], folder / "link"]


def foreign_tokenizer(place: Path) -> None:
    shutil.copy(OLD / "roberta" / "embedding" / "tokenizer.model", place / "tokenizer.model")


CASES: dict[str, tuple[Make, str]] = {
    "adapt-num: data is an embedding":
        (lambda folder: ["adapt", "--body", OLD / "roberta", "--data", OLD / "qab", "--output", "out", "--tokens-per-sample",
                         "32"], "qab"),
    "artefact: body.json architecture is a list": (body(lambda r: r.update(architecture=[])), "architecture"),
    "artefact: body.json architecture.relative_buckets=1000000000":
        (body(lambda r: r["architecture"].update(relative_buckets=10**9)), "relative_bias"),
    "artefact: body.json architecture.width=x": (body(lambda r: r["architecture"].update(width="x")), "'width' is 'x'"),
    "artefact: body.json backbone foo": (body(lambda r: r.update(backbone="foo")), "'backbone' is 'foo'"),
    "artefact: body.json task without labels": (body(lambda r: r["task"].pop("labels"), "xnli"), "'labels' is missing"),
    "artefact: body.json without architecture": (body(lambda r: r.pop("architecture")), "'architecture' is missing"),
    "artefact: body.json without fingerprint": (body(lambda r: r.pop("fingerprint")), "'fingerprint' is missing"),
    "artefact: body.json without lineage": (body(lambda r: r.pop("lineage")), "'lineage' is missing"),
    "artefact: bool embedding": (embedding(tensors=lambda t: {**t, "weight": t["weight"] > 0}), "bool"),
    "artefact: embedding without bias": (embedding(tensors=lambda t: {"weight": t["weight"]}), "'bias' is missing"),
    "artefact: embedding.json fingerprint is a number": (embedding(lambda r: r.update(fingerprint=3)), "'fingerprint' is 3"),
    "artefact: embedding.json without lineage": (embedding(lambda r: r.pop("lineage")), "'lineage' is missing"),
    "artefact: embedding.json without tokenizer_sha256":
        (embedding(lambda r: r.pop("tokenizer_sha256")), "'tokenizer_sha256' is missing"),
    "artefact: int64 embedding": (embedding(tensors=lambda t: {**t, "weight": t["weight"].long()}), "int64"),
    "others: import-fairseq five.pt": (five("import-fairseq", "--body-only", "--output", "out"), "five.pt"),
    "others: inspect five.pt": (five("inspect"), "five.pt"),
    "others: inspect huge int json": (json_file("inspect", "body.json", f'{{"version": {LONG}}}'), "body.json"),
    "others: inspect prepared with foreign tokenizer": (prepared(foreign_tokenizer), "tokenizer.model"),
    "others: inspect prepared with garbage dict.txt":
        (prepared(lambda place: (place / "dict.txt").write_bytes(b"\xff\x00 x\n")), "dict.txt"),
    "others: inspect prepared without dict.txt": (prepared(lambda place: (place / "dict.txt").unlink()), "dict.txt"),
    "others: inspect prepared without train.idx": (prepared(lambda place: (place / "train.idx").unlink()), "train.idx"),
    "others: inspect prepared, one bit of train.bin flipped": (prepared(lambda place: flipped(place / "train.bin")), "train.bin"),
    "others: inspect seeds.json with ../ in the folder": (json_file("inspect", "seeds.json", json.dumps(
        {"format": "relexify-seeds", "version": 1, "median": {"folder": "../x"}})), "folder"),
    "others: report on deep results.json": (json_file("report", "results.json", DEEP, "--output", "out"), "results.json"),
    "others: score: duplicate keys": (duplicates, "predictions.json"),
    "others: split checkpoint with NaN weights":
        (checkpoint(lambda s: s["model"]["encoder.embed_norm.weight"].fill_(float("nan"))), "NaN"),
    "others: split checkpoint with cfg.model without layers":
        (checkpoint(lambda s: s["cfg"]["model"].pop("encoder_layers")), "c.pt"),
    "others: split checkpoint with empty optimizer_history": (checkpoint(lambda s: s["optimizer_history"].clear()), "updates"),
    "others: split checkpoint with layers 50": (checkpoint(lambda s: s["cfg"]["model"].update(encoder_layers=50)), "50 layers"),
    "prepare: --tokenizer empty": (lambda folder: (folder / "e.model").touch() or [  # type: ignore[func-returns-value]
        *text("t.txt", "a b\n" * 100)(folder), "--tokenizer", folder / "e.model"], "e.model"),
    "prepare: --vocab-size 2147483648": (text("t.txt", "a b\n", "--vocab-size", "2147483648"), "vocab"),
    "prepare: --vocab-size 99999999999999999999": (text("t.txt", "a b\n", "--vocab-size", "9" * 20), "vocab"),
    "prepare: jsonl deep nesting": (text("t.jsonl", f'{{"text": {DEEP}}}\n'), "t.jsonl:1"),
    "prepare: jsonl huge int": (text("t.jsonl", f'{{"text": "a", "n": {LONG}0}}\n'), "t.jsonl:1"),
    "prepare: output is a dangling link": (dangling, "link"),
    "prepare: output name 300 characters":
        (lambda folder: [*text("t.txt", "a b\n" * 100)(folder)[:-1], "x" * 300], "300 bytes"),
    "pretrain: data is an empty folder": (prepared(empty, "pretrain", str(DEMO)), "data"),
    "pretrain: data without train.bin":
        (prepared(lambda place: (place / "train.bin").unlink(), "pretrain", str(DEMO)), "train.bin"),
    "pretrain: prepare.json []":
        (prepared(lambda place: (place / "prepare.json").write_text("[]"), "pretrain", str(DEMO)), "prepare.json"),
    "pretrain: recipe billion laughs": (recipe(LAUGHS), "r.yaml"),
    "pretrain: recipe deep nesting": (recipe(f"seed: {DEEP}\n"), "r.yaml"),
    "pretrain: recipe interpolation loop": (recipe("seed: ${seed}\n"), "r.yaml"),
    "pretrain: recipe interpolation to nothing": (recipe("seed: ${nothing}\n"), "nothing"),
    "run: --dag below a file": (in_file("--dag", "FILE/dag.svg"), "file"),
    "run: --store is a file": (in_file("--store", "FILE"), "file"),
    "run: adapt.lr=-1": (tiny("adapt.lr=-1"), "adapt.lr"),
    "run: evaluate.max_tokens=0": (tiny("evaluate.max_tokens=0"), "evaluate.max_tokens"),
    "run: prepare.vocab_size=-1": (tiny("prepare.vocab_size=-1"), "prepare.vocab_size"),
    "run: recipe deep": (deep_run, "r.yaml"),
    "run: seeds=[-1]": (tiny("seeds=[-1]"), "seeds"),
    "task-files: nli jsonl deep nesting": (task("xnli", "t.jsonl", f'{{"premise": {DEEP}}}\n'), "t.jsonl:1"),
    "task-files: nli jsonl int of 5,000 digits": (task("xnli", "t.jsonl", f'{{"premise": {LONG}}}\n'), "t.jsonl:1"),
    "task-files: qa deep nesting": (task("squad", "t.json", f'{{"data": {DEEP}}}'), "t.json"),
    "task-files: qa huge int": (task("squad", "t.json", f'{{"data": {LONG}}}'), "t.json"),
}
"""Verb and input as in the list -> how it is made, and a word of its line."""


@pytest.mark.parametrize("case", CASES)
def test_a_bad_input_is_one_line_and_nothing_is_written(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                        capfd: pytest.CaptureFixture[str]) -> None:
    make, word = CASES[case]
    inputs, here = tmp_path / "inputs", tmp_path / "here"
    inputs.mkdir()
    here.mkdir()
    words = [str(part) for part in make(inputs)]
    before = sorted(inputs.rglob("*"))
    (here / "recipes").symlink_to(ROOT / "recipes")  # whose run recipes name others from where one stands
    for name in ("text/qaa.txt", "text/qab.txt", "text/qac.txt", "nli/dev-qaa.tsv"):
        (here / "world" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "world" / name).write_text("a b c\n")
    there = sorted(here.rglob("*"))
    monkeypatch.chdir(here)
    assert main(words) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("relexify: warning: ")]
    assert len(lines) == 1 and lines[0].startswith("relexify: error: ") and word in lines[0] and len(lines[0]) < 1_000, lines
    assert sorted(here.rglob("*")) == there and sorted(inputs.rglob("*")) == before


@pytest.mark.realdata
@pytest.mark.skipif(not PAGE.is_file(), reason="no real data")
def test_the_whole_list_is_tried() -> None:
    from tests.recipes.test_public_faults import bad_settings

    rows = re.findall(r"^\| (\S+) \| (.+?) \| [^|]*\|$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    listed = {f"{verb}: {what}" for verb, what in rows if verb not in ("verb", "---")}
    assert len(listed) >= 100
    assert listed - set(CASES) - {f"{verb}: {word}" for verb, word in bad_settings()} == set()
