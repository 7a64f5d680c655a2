"""`relexify predict` and a call of the model: labels, answers and tags of inputs without gold, in any language of the lineage."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import relexify
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import Dropout, EncoderConfig
from recipes.cli import main
from tasks.evaluate import evaluate
from tasks.heads.model import TaskModel
from tests.pairs import other_embedding

TEXTS = {"nl": ["de kat zit op de mat", "het huis is groot", "wij gaan naar de zee"],
         "ru": ["кот сидит на ковре", "дом большой", "мы едем к морю"]}
LABELS = {"xnli": ["entailment", "neutral", "contradiction"], "squad": [],
          "panx": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]}
HEADS = {"xnli": "classification", "squad": "span", "panx": "tagging"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A task body of each family, with heads of large random weights, and embeddings `nl` and `ru`."""
    root = tmp_path_factory.mktemp("predict")
    torch.manual_seed(5)
    config = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=48)
    lineage = ""
    for task, labels in LABELS.items():
        model = TaskModel(config, 8, Dropout(0, 0, 0))
        model.add_head(task, HEADS[task], len(labels))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "heads" in name and parameter.ndim > 1:
                    parameter.mul_(60)
        record = {"name": task, "version": "1", "head": HEADS[task], "labels": labels, "metric": "f1",
                  **({"windows": {}, "answer_tokens": 2} if task == "squad" else {}), "majority": "O"}
        body = Body.of_model(model, lineage=lineage or "a" * 64, task=record, made={"seed": 5})
        lineage = body.lineage
        body.save(root / task)
    for code, texts in TEXTS.items():
        tokenizer = Tokenizer(train_tokenizer(texts * 30, 50, model_type="bpe"))
        other_embedding(SimpleNamespace(config=config, lineage=lineage), tokenizer, code).save(root / code)  # type: ignore[arg-type]
    return root


def predicted(capsys, *words: object) -> list[dict]:
    assert main(["predict", *map(str, words), "--quiet"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_labels_are_those_of_evaluate(folder, tmp_path, capsys):
    pairs = [(a, b) for a in TEXTS["nl"] for b in TEXTS["nl"]]
    (tmp_path / "test-nl.tsv").write_text("premise\thypothesis\tlabel\n" + "".join(
        f"{a}\t{b}\t{n % 3}\n" for n, (a, b) in enumerate(pairs)))
    evaluate(folder / "xnli", [folder / "nl"], "xnli", tmp_path, "test", tmp_path / "out", quiet=True)
    (tmp_path / "pairs.txt").write_text("".join(f"{a}\t{b}\n" for a, b in pairs))
    found = predicted(capsys, "--body", folder / "xnli", "--embedding", folder / "nl", tmp_path / "pairs.txt")
    assert [one["label"] for one in found] == (tmp_path / "out" / "xnli" / "test-nl.tsv").read_text().split()
    for one in found:
        assert sum(one["probabilities"].values()) == pytest.approx(1, rel=1e-5)
        assert max(one["probabilities"], key=one["probabilities"].get) == one["label"]


def test_answers_are_those_of_evaluate(folder, tmp_path, capsys):
    context = " ".join(TEXTS["nl"])
    answers = [{"text": "kat", "answer_start": 3}]
    asked = [{"id": str(number), "question": text, "answers": answers} for number, text in enumerate(TEXTS["nl"])]
    gold = {"data": [{"paragraphs": [{"context": context, "qas": asked}]}]}
    (tmp_path / "test-nl.json").write_text(json.dumps(gold))
    evaluate(folder / "squad", [folder / "nl"], "squad", tmp_path, "test", tmp_path / "out", quiet=True)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"question": text, "context": context}) + "\n" for text in TEXTS["nl"]))
    found = predicted(capsys, "--body", folder / "squad", "--embedding", folder / "nl", tmp_path / "in.jsonl")
    expected = json.loads((tmp_path / "out" / "squad" / "test-nl.json").read_text())
    assert [one["answer"] for one in found] == list(expected.values())
    for one in found:
        assert one["answer"] == context[one["start"]:one["end"]] and 0 < one["probability"] <= 1


def test_tags_are_those_of_evaluate_and_words_have_their_places(folder, tmp_path, capsys):
    (tmp_path / "test-nl.tsv").write_text("".join("".join(f"{w}\t{'O' if n else 'B-PER'}\n" for n, w in enumerate(text.split()))
                                                  + "\n" for text in TEXTS["nl"]))
    evaluate(folder / "panx", [folder / "nl"], "panx", tmp_path, "test", tmp_path / "out", quiet=True)
    (tmp_path / "in.txt").write_text("\n".join(TEXTS["nl"]) + "\n")
    found = predicted(capsys, "--body", folder / "panx", "--embedding", folder / "nl", tmp_path / "in.txt")
    assert [tag for one in found for tag in one["tags"]] == (tmp_path / "out" / "panx" / "test-nl.tsv").read_text().split()
    for text, one in zip(TEXTS["nl"], found, strict=True):
        assert [text[start:end] for start, end in one["spans"]] == one["words"] == text.split()


def test_several_languages_in_one_input(folder, tmp_path, capsys):
    rows = [{"premise": text, "hypothesis": text} for pair in zip(TEXTS["nl"], TEXTS["ru"], strict=True) for text in pair]
    both = ("--body", folder / "xnli", "--embedding", folder / "nl", "--embedding", folder / "ru")
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    found = predicted(capsys, *both, tmp_path / "in.jsonl")
    assert [one["language"] for one in found] == ["nl", "ru"] * 3
    alone = relexify.load(folder / "xnli", folder / "ru", device="cpu")(rows[1::2])
    for one, other in zip(found[1::2], alone, strict=True):
        assert one["label"] == other["label"]
    (tmp_path / "said.jsonl").write_text(json.dumps({**rows[0], "language": "ru"}) + "\n" + json.dumps(rows[1]) + "\n")
    assert [one["language"] for one in predicted(capsys, *both, "--language", "nl", tmp_path / "said.jsonl")] == ["ru", "nl"]


def test_from_python_one_input_gives_one_prediction(folder):
    model = relexify.load(folder / "panx", folder / "nl", folder / "ru", device="cpu")
    one = model("de kat zit", language="nl")
    assert one["words"] == ["de", "kat", "zit"] and model(["de kat zit"], "nl") == [one]
    assert model({"words": ["de", "kat", "zit"]}, "nl")["tags"] == one["tags"]
    assert model.with_language("nl")("de kat zit") == one


def test_standard_input_table_and_file(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"de kat zit\nhet huis\n")))
    words = ["--body", str(folder / "panx"), "--embedding", str(folder / "nl"), "--to", "tsv",
             "--output", str(tmp_path / "out.tsv")]
    assert main(["predict", *words, "-"]) == 0
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["de kat zit", "het huis"] and lines[0].endswith("0-2 3-6 7-10")
    assert main(["predict", *words, "--text", "de kat"]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(("body", "content", "message"), [
    ("xnli", "een\ttwee\tdrie\n", "in.txt:1: 3 columns; expected premise TAB hypothesis"),
    ("xnli", "een\n", "in.txt:1: 1 columns; expected premise TAB hypothesis"),
    ("squad", "vraag\n", "in.txt:1: 1 columns; expected question TAB context"),
    ("panx", "een\n\ntwee\n", "in.txt:2: expected an item, got an empty line"),
    ("xnli", "een\t \n", "in.txt:1: hypothesis is ' '; expected a text"),
])
def test_mistakes_name_file_and_line(folder, tmp_path, capsys, body, content, message):
    (tmp_path / "in.txt").write_text(content)
    assert main(["predict", "--body", str(folder / body), "--embedding", str(folder / "nl"), str(tmp_path / "in.txt")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


@pytest.mark.parametrize("verb", ["predict", "arct"])
def test_an_output_does_not_take_the_place_of_what_is_read(verb, tmp_path, capsys):
    """Not even with --overwrite and under another name."""
    (tmp_path / "in.tsv").write_text("a\tb\n")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "in.tsv")
    read, written = str(tmp_path / "in.tsv"), ["--output", str(tmp_path / "link.tsv"), "--overwrite"]
    words = {"predict": ["predict", "--body", "no", "--embedding", "no", read, *written],
             "arct": ["arct", "build", read, "--claims", "no", *written]}[verb]
    assert main(words) == 2
    assert "is what is read, and would be lost" in capsys.readouterr().err
    assert (tmp_path / "in.tsv").read_text() == "a\tb\n"


def test_wrong_task_wrong_rows_wrong_json(folder, tmp_path, capsys):
    words = ["predict", "--body", str(folder / "xnli"), "--embedding", str(folder / "nl")]
    (tmp_path / "in.jsonl").write_text('{"premise": "een"}\n')
    for more, message in ((["--task", "squad", "--text", "een"], "does xnli, asked for squad"), ([], "nothing is given"),
                          ([str(tmp_path / "in.jsonl")], "in.jsonl:1: expected premise and hypothesis"),
                          ([str(tmp_path / "no.jsonl")], "expected items, one a line")):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
