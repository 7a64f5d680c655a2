"""`relexify detect` and `fill`: sources of texts, output, mistakes in one line, no need of fairseq."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.probe.detect import detect, load_detector
from adapt.probe.fill import fill, load_filler
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.masked_lm import MaskedLM
from recipes.cli import main
from tests.killing import ROOT, warm
from tests.pairs import SHAPE, save_pair

TEXTS = ["the cat barked at the moon", "кот лаял на луну", "a cat"]
MASKED = ["the <mask> barked", "кот <mask> на <mask>"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `electra`, `uniform` (a pair without a generator), `roberta`, `task` (a task body beside its embedding)."""
    root = tmp_path_factory.mktemp("models")
    tokenizer = Tokenizer(train_tokenizer(TEXTS * 20, 60))
    save_pair(root / "electra", tokenizer, "qaa")
    save_pair(root / "uniform", tokenizer, "qaa", network=False)
    torch.manual_seed(2)
    model = MaskedLM(SHAPE, len(tokenizer))
    body = Body.of_model(model)
    body.save(root / "roberta" / "body")
    Embedding.of_model(model, tokenizer, "qaa", body.lineage).save(root / "roberta" / "embedding")
    pair = Body.load(root / "electra" / "body")
    task = {"name": "xnli", "head": "linear", "labels": []}
    replace(pair, lineage=pair.lineage, task=task, generator=None).save(root / "task" / "body")
    Embedding.load(root / "electra" / "embedding").save(root / "task" / "embedding")
    (root / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    (root / "masked.txt").write_text("\ufeff" + "\r\n".join(MASKED), encoding="utf-8")
    (root / "gap.txt").write_text("a cat\n\nthe moon\n", encoding="utf-8")
    (root / "latin.txt").write_bytes("a\ncaf\xe9\n".encode("latin-1"))
    (root / "empty.txt").write_text("")
    return root


def printed(capsys) -> list:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_detect_prints_what_the_function_finds(models, capsys):
    assert main(["detect", "--body", str(models / "electra"), "--json", *TEXTS]) == 0
    lines = printed(capsys)
    for line, found in zip(lines, detect(*load_detector(models / "electra"), TEXTS), strict=True):
        assert line["text"] == found.text
        assert list(line["tokens"][0]) == ["piece", "start", "end", "text", "probability"]
        assert [token["probability"] for token in line["tokens"]] == pytest.approx([t.probability for t in found.tokens])
        assert all(token["text"] == line["text"][token["start"]:token["end"]] for token in line["tokens"])


def test_fill_prints_what_the_function_finds(models, capsys):
    assert main(["fill", "--body", str(models / "roberta"), "--json", "--top", "3", *MASKED]) == 0
    lines = printed(capsys)
    for line, found in zip(lines, fill(*load_filler(models / "roberta"), MASKED, 3), strict=True):
        assert (line["text"], line["filled"]) == (found.text, found.filled)
        assert [[filler["piece"] for filler in mask["fillers"]] for mask in line["masks"]] == \
            [[filler.piece for filler in mask.fillers] for mask in found.masks]
        assert all(line["text"][mask["start"]:mask["end"]] == "<mask>" for mask in line["masks"])
    assert len(lines[1]["masks"]) == 2 and len(lines[0]["masks"][0]["fillers"]) == 3


@pytest.mark.parametrize(("verb", "file"), [("detect", "texts.txt"), ("fill", "masked.txt")])
def test_texts_come_from_arguments_a_file_or_standard_input(models, verb, file, capsys, monkeypatch):
    common = [verb, "--json", "--body", str(models / "electra")]
    assert main([*common, *(TEXTS if verb == "detect" else MASKED)]) == 0
    expected = printed(capsys)
    assert main([*common, "--file", str(models / file)]) == 0
    assert printed(capsys) == expected
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((models / file).read_bytes())))
    assert main([*common, "-"]) == 0
    assert printed(capsys) == expected


def test_table_has_a_row_for_each_token(models, capsys):
    assert main(["detect", "--body", str(models / "electra"), TEXTS[0], TEXTS[1]]) == 0
    blocks = capsys.readouterr().out.rstrip("\n").split("\n\n")
    for block, found in zip(blocks, detect(*load_detector(models / "electra"), TEXTS[:2]), strict=True):
        title, *rows = block.split("\n")
        assert title == found.text and len(rows) == len(found.tokens)
        for row, token in zip(rows, found.tokens, strict=True):
            words = row.split()
            assert float(words[0]) == pytest.approx(token.probability, rel=1e-5, abs=6e-4)
            assert ("*" in words) == (token.probability >= 0.5)
            assert words[-2:] == [f"{token.start}-{token.end}", token.text or token.piece]


def test_fillers_are_printed_with_the_text_filled_in(models, capsys):
    assert main(["fill", "--body", str(models / "electra"), MASKED[1]]) == 0
    (found,) = fill(*load_filler(models / "electra"), MASKED[1:])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == MASKED[1] and lines[-1] == f"  = {found.filled}"
    assert lines[1] == "  characters 4-10" and lines[7] == "  characters 14-20"
    assert [line.split()[1] for line in lines[2:7]] == [filler.piece for filler in found.masks[0].fillers]


def test_embedding_may_be_named(models, capsys):
    assert main(["detect", "--body", str(models / "electra" / "body"), "--embedding", str(models / "electra"), "a cat"]) == 0
    named = capsys.readouterr().out
    assert main(["detect", "--body", str(models / "electra" / "body"), "a cat"]) == 0  # the one beside it
    assert capsys.readouterr().out == named


@pytest.mark.parametrize(("count", "quiet", "shown"), [(301, False, True), (300, False, False), (301, True, False)])
def test_bar_for_many_texts_on_standard_error(models, capsys, count, quiet, shown):
    words = ["detect", "--body", str(models / "electra"), *(["--quiet"] if quiet else []), *["a cat"] * count]
    assert main(words) == 0
    assert ("window/s" in capsys.readouterr().err) == shown


@pytest.mark.parametrize(("words", "text"), [
    (["detect", "--body", "{root}/electra"], "no text is given"),
    (["detect", "--body", "{root}/electra", "--file", "{root}/texts.txt", "a"], "texts and --file are both given"),
    (["detect", "--body", "{root}/electra", ""], "text 1: expected a text, got an empty one"),
    (["detect", "--body", "{root}/electra", "--file", "{root}/gap.txt"], "gap.txt:2: expected a text, got an empty one"),
    (["detect", "--body", "{root}/electra", "--file", "{root}/latin.txt"], "latin.txt:2: expected UTF-8 text"),
    (["detect", "--body", "{root}/electra", "--file", "{root}/empty.txt"], "empty.txt: expected texts, one per line"),
    (["detect", "--body", "{root}/electra", "--file", "{root}/absent.txt"], "absent.txt: expected texts, one per line"),
    (["detect", "--body", "{root}/electra", "a \udcff"], "text 1: expected UTF-8"),
    (["detect", "--body", "{root}/electra", "\u0007"], "text 1: expected a text, got one without a token"),
    (["detect", "--body", "{root}/electra", "--device", "gpu", "a"], "unknown device 'gpu'"),
    (["detect", "--body", "{root}/roberta", "a"], "is a RoBERTa body, which has no replaced-token head"),
    (["detect", "--body", "{root}/task", "a"], "is a task body (xnli)"),
    (["detect", "--body", "{root}/absent", "a"], "absent: expected a body"),
    (["detect", "--body", "{root}/electra", "--embedding", "{root}/roberta", "a"], "this body's lineage is"),
    (["fill", "--body", "{root}/electra", "a cat"], "text 1: expected a text with <mask> in it, got 'a cat'"),
    (["fill", "--body", "{root}/electra", "--file", "{root}/texts.txt"], "texts.txt:1: expected a text with <mask>"),
    (["fill", "--body", "{root}/electra", "  "], "text 1: expected a text, got an empty one"),
    (["fill", "--body", "{root}/electra", "--top", "0", "<mask>"], "--top 0: expected at least 1"),
    (["fill", "--body", "{root}/uniform", "<mask>"], "without a generator network"),
    (["fill", "--body", "{root}/task", "<mask>"], "is a task body (xnli)"),
])
def test_mistakes_are_one_line_and_exit_code_2(models, words, text, capsys):
    assert main([word.format(root=models) for word in words]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("relexify: error: ") and text in told.err and told.err.count("\n") == 1 and not told.out


WITHOUT_FAIRSEQ = """import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fairseq", "hydra", "omegaconf"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
from recipes.cli import main
for line in sys.stdin.read().splitlines():
    if main(line.split("|")):
        sys.exit("failed: " + line)
"""


def test_neither_verb_needs_fairseq(models):
    lines = [f"{verb}|--body|{models / body}|{text}" for verb, body, text in (
        ("detect", "electra", TEXTS[0]), ("fill", "electra", MASKED[0]), ("fill", "roberta", MASKED[0]))]
    done = subprocess.run([sys.executable, "-c", WITHOUT_FAIRSEQ], input="\n".join(lines), cwd=ROOT, capture_output=True,
                          text=True, check=False, env=warm(OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("  = ") == 2
