"""Taggers that teach and learn: rows of words, what teachers say of them, a student with another tokenizer, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from recipes.cli import main
from tasks.distillation.settings import TeachSettings
from tasks.distillation.soft_labels import SoftLabels, key_of, read, write
from tasks.distillation.student import Distillation, Lesson
from tasks.distillation.teach import teach
from tasks.heads.model import TaskModel, task_model
from tasks.registry import get_task
from tasks.tagging.data import UNTAGGED, Sentence, Sentences, read_file
from tasks.tagging.features import encode_sentences
from tasks.tagging.panx import PANX
from tasks.tagging.teaching import TaggingTeaching

from ..conftest import CONFIG, WORDS, pairs
from .tagging_world import sentences, write_sentences, write_world

OWN = PANX.labels
NONE = "\t_" * 8
LAYOUTS = [("a.tsv", "tsv", "wo\nba\n\nti\n"), ("b.tsv", "tsv", "wo\tX\nba\tO\n\nti\t\n"),
           ("c.txt", "columns", "wo\nba\n\nti\n"), ("d.txt", "columns", "wo N\nba V\n\nti _\n"),
           ("e.conllu", "tsv", f"1\two{NONE}\n2\tba{NONE}\n\n1\tti{NONE}\n")]
"""Words without tags that the task knows, in every layout of text."""


def bare(rows: list[list[tuple[str, str]]]) -> list[list[str]]:
    return [[word for word, _ in row] for row in rows]


def write_bare(path: Path, rows: list[list[tuple[str, str]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("".join(f"{word}\n" for word in row) + "\n" for row in bare(rows)), encoding="utf-8")
    return path


def tagger(world: Path, folder: Path, seed: int, labels: tuple[str, ...] = OWN, name: str = "panx") -> Path:
    """A body whose drawn head says something else of each word."""
    from pretrain.artefacts.body import load_body

    start = Body.load(world / "body")
    model = TaskModel(CONFIG, 8)
    load_body(model, start)
    torch.manual_seed(seed)
    model.add_head(name, "tagging", len(labels))
    with torch.no_grad():
        for parameter in model.heads[name].parameters():
            parameter.normal_(0, 0.5)
    task = {"name": name, "version": "1.0", "head": "tagging", "labels": list(labels), "metric": "f1", "majority": "O"}
    Body.of_model(model, lineage=start.lineage, task=task, made={"seed": seed}).save(folder)
    return folder


def taught(world: Path, output: Path, data: Path, *bodies: Path, **changes: Any) -> SoftLabels:
    values = {"task": "panx", "data": str(data), "embedding": (str(world / "qaa"),), "device": "cpu", **changes}
    return teach(TeachSettings(body=tuple(map(str, bodies)), output=str(output), **values), quiet=True)


def said(world: Path, place: Path, rows: Sentences, max_length: int = 64) -> list[np.ndarray[Any, Any]]:
    """The logits of each sentence's words, a sentence and a word at a time."""
    body, embedding = Body.load(place), Embedding.load(world / "qaa")
    model = task_model(body, embedding)
    found = []
    for item in rows:
        windows = encode_sentences(embedding.tokenizer, [item], max_length, "qaa")
        assert len(windows) == 1
        with torch.no_grad():
            logits = model(torch.from_numpy(windows.tokens[0])[None].long(), full=True, task="panx")[0]
        found.append(np.stack([logits[column].numpy() for column in windows.columns[0]]))
    return found


@pytest.mark.parametrize(("name", "layout", "text"), LAYOUTS, ids=[name for name, *_ in LAYOUTS])
def test_words_without_tags_are_read_in_every_layout(name: str, layout: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    found = read_file(tmp_path / name, layout, OWN, "en", gold=False)
    assert found.sentences == [Sentence(("wo", "ba"), (UNTAGGED,) * 2), Sentence(("ti",), (UNTAGGED,))]
    with pytest.raises(UserError):
        read_file(tmp_path / name, layout, OWN, "en")


def test_words_of_the_hub_without_a_column_of_tags(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"tokens": [["wo", "ba"], ["ti"]]}), tmp_path / "train.parquet")
    assert [item.words for item in read_file(tmp_path / "train.parquet", "tsv", OWN, "en", gold=False)] == [("wo", "ba"), ("ti",)]
    with pytest.raises(UserError, match="expected 'tokens' and 'ner_tags'"):
        read_file(tmp_path / "train.parquet", "tsv", OWN, "en")


def test_tags_that_there_are_are_not_looked_at(tmp_path: Path) -> None:
    """So a file says the same with tags and without, also one whose tags were replaced by a placeholder."""
    write_sentences(tmp_path / "t" / "train-qaa.tsv", [[(word, "O") for word, _ in row] for row in sentences("qaa", 200, 1)])
    write_bare(tmp_path / "b" / "train-qaa.tsv", sentences("qaa", 200, 1))
    one, other = (PANX.unlabelled(tmp_path / name, "train", "qaa") for name in "tb")
    assert one.sentences == other.sentences and one.sha256() == other.sha256()
    with pytest.raises(UserError, match="were stripped and replaced by a placeholder"):
        PANX.read(tmp_path / "t", "train", "qaa")


def test_a_row_holds_the_logits_of_each_words_first_piece(world: Path, tmp_path: Path) -> None:
    data = write_bare(tmp_path / "data" / "train-qaa.tsv", sentences("qaa", 6, 1)).parent
    found = taught(world, tmp_path / "t.parquet", data, tagger(world, tmp_path / "a", 5))
    rows: Any = PANX.unlabelled(data, "train", "qaa")
    assert (found.header["form"], found.header["labels"]) == ("words", list(OWN))
    assert found.keys == [key_of(*item.words) for item in rows]
    expected = said(world, tmp_path / "a", rows)
    for row, shares, logits in zip(found.columns["logits"], found.columns["probabilities"], expected, strict=True):
        np.testing.assert_allclose(row.reshape(-1, 7), logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(shares.reshape(-1, 7), softmax(logits, axis=1), rtol=1e-4, atol=1e-6)
    again = read(tmp_path / "t.parquet")
    assert again.keys == found.keys and [len(row) for row in again.columns["logits"]] == [7 * len(item.words) for item in rows]


def test_long_sentences_are_read_in_windows_each_word_once(world: Path, tmp_path: Path) -> None:
    long = [[word for row in sentences("qaa", 12, seed) for word in row] for seed in (1, 2)]
    data = write_bare(tmp_path / "data" / "train-qaa.tsv", long).parent
    body = tagger(world, tmp_path / "a", 5)
    found = taught(world, tmp_path / "t.parquet", data, body, max_length=12)
    assert [len(row) for row in found.columns["logits"]] == [7 * len(row) for row in long]
    whole = taught(world, tmp_path / "w.parquet", data, body)
    assert not np.allclose(found.columns["logits"][0], whole.columns["logits"][0])  # less context


def test_teachers_are_averaged_word_by_word_with_their_labels_in_the_tasks_order(world: Path, tmp_path: Path) -> None:
    data = write_bare(tmp_path / "data" / "train-qaa.tsv", sentences("qaa", 5, 1)).parent
    turned = tuple(reversed(OWN))
    bodies = tagger(world, tmp_path / "a", 5), tagger(world, tmp_path / "b", 6, turned)
    rows: Any = PANX.unlabelled(data, "train", "qaa")
    one, other = said(world, bodies[0], rows), [logits[:, ::-1] for logits in said(world, bodies[1], rows)]
    both = taught(world, tmp_path / "p.parquet", data, *bodies, temperature=2.0)
    for row, first, second in zip(both.columns["probabilities"], one, other, strict=True):
        expected = (softmax(first / 2, axis=1) + softmax(second / 2, axis=1)) / 2
        np.testing.assert_allclose(row.reshape(-1, 7), expected, rtol=1e-4, atol=1e-6)
    logits = taught(world, tmp_path / "l.parquet", data, *bodies, average="logits")
    for row, first, second in zip(logits.columns["logits"], one, other, strict=True):
        np.testing.assert_allclose(row.reshape(-1, 7), (first + second) / 2, rtol=1e-4, atol=1e-5)


def test_labels_of_the_users_own_are_the_teachers(world: Path, tmp_path: Path) -> None:
    data = write_bare(tmp_path / "data" / "train-qaa.tsv", sentences("qaa", 4, 1)).parent
    body = tagger(world, tmp_path / "a", 5, ("x", "y"), "conll")
    found = taught(world, tmp_path / "t.parquet", data, body, task="conll", train_files=(str(data / "train-qaa.tsv"),))
    assert found.header["labels"] == ["x", "y"]
    other = tagger(world, tmp_path / "b", 5, ("x", "z"), "conll")
    with pytest.raises(UserError, match="the teachers of conll have different labels: x, y, and x, z"):
        taught(world, tmp_path / "u.parquet", data, body, other, task="conll", train_files=(str(data / "train-qaa.tsv"),))


def by_hand(tmp_path: Path, words: list[tuple[str, ...]], logits: list[list[list[float]]], **header: Any) -> Path:
    """A file of two labels."""
    rows = [np.array(row, dtype=np.float64) for row in logits]
    place = {"files": ["x"], "sha256": "0" * 64}
    top = {"task": "conll", "task_version": "1", "form": "words", "labels": ["a", "b"], "temperature": 1.0, "split": "train",
           "average": "probabilities", "language": "en", "data": {**place, "examples": len(words)},
           "read": {"language": "en", **place}, "teachers": [{"fingerprint": "f"}], **header}
    columns = {"logits": [row.ravel() for row in rows], "probabilities": [softmax(row, axis=1).ravel() for row in rows]}
    write(SoftLabels(top, list(map(str, range(len(words)))), [key_of(*row) for row in words], columns), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def lesson_of(file: Path, words: list[tuple[str, ...]], **settings: Any) -> Lesson:
    task = get_task("conll").with_labels(labels=("a", "b"))
    rows = Sentences([Sentence(row, (UNTAGGED,) * len(row)) for row in words], ["here"])
    return Distillation(str(file), **settings).learn(task, rows, "en", "tagging")


def test_the_loss_by_hand_and_its_gradient(tmp_path: Path) -> None:
    """Three words in two sentences, the student's in another order than the file's: the sum over words of T² times the cross
    entropy; its gradient is T (p - q)."""
    words = [("wo", "ba"), ("ti",)]
    file = by_hand(tmp_path, words, [[[2.0, 0.0], [0.0, 1.0]], [[-1.0, 1.0]]])
    lesson = lesson_of(file, words[::-1], temperature=2.0)
    target = lesson.targets()
    q = softmax(np.array([[-1.0, 1.0], [2.0, 0.0], [0.0, 1.0]]) / 2, axis=1)
    np.testing.assert_allclose(target.numpy(), q, rtol=1e-6)
    z = torch.tensor([[0.5, -0.5], [1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    loss = lesson.total(lambda: pytest.fail("no hard label is asked for"), z, target)
    loss.backward()
    own = z.detach().double().numpy()
    assert loss.item() == pytest.approx(-4 * (q * log_softmax(own / 2, axis=1)).sum(), rel=1e-6)
    np.testing.assert_allclose(z.grad, 2 * (softmax(own / 2, axis=1) - q), rtol=1e-5, atol=1e-6)
    squared = lesson_of(file, words, loss="logit-mse")
    values = squared.targets()
    assert values.tolist() == [[2.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]
    assert squared.total(lambda: z.sum(), torch.zeros(3, 2), values).item() == pytest.approx((4 + 1 + 2) / 2)


def test_sentences_and_words_that_the_file_lacks_are_told(tmp_path: Path) -> None:
    file = by_hand(tmp_path, [("wo", "ba")], [[[2.0, 0.0], [0.0, 1.0]]])
    with pytest.raises(UserError, match=r"no row for 1 of the 2 training examples \(first: id 1\); it was made on x .* on here"):
        lesson_of(file, [("wo", "ba"), ("wo", "ba", "ti")])
    with pytest.raises(UserError, match=r"distillation-loss mse: conll is learned with soft-ce or kl or logit-mse"):
        lesson_of(file, [("wo", "ba")], loss="mse")
    with pytest.raises(UserError, match=r"has the outputs c, d in this order, conll .* has a, b"):
        lesson_of(by_hand(tmp_path, [("wo",)], [[[2.0, 0.0]]], labels=["c", "d"]), [("wo",)])


def test_a_row_of_other_words_than_its_key_says_is_told(tmp_path: Path) -> None:
    file = by_hand(tmp_path, [("wo", "ba")], [[[2.0, 0.0]]])
    with pytest.raises(UserError, match="speaks of 1 words of sentence 1 of here, which has 2; make the file anew"):
        lesson_of(file, [("wo", "ba")])
    found = read(file)
    write(replace(found, columns={name: [np.append(rows[0], 0.0)] for name, rows in found.columns.items()}), file)
    with pytest.raises(UserError, match="row 1: 3 logits, the header has 2 labels for each word"):
        read(file)
    write(replace(found, columns={"logits": [np.zeros(4)], "probabilities": [np.array([0.5, 0.5, 0.5, 1.0])]}), file)
    with pytest.raises(UserError, match=r"row 1: the probabilities of a word sum to 1\.5, not to 1"):
        read(file)


def test_a_translation_has_other_words(world: Path, tmp_path: Path) -> None:
    data = write_world(tmp_path / "data")
    with pytest.raises(UserError, match="--student-language qab: what is taught of panx are places in the text"):
        taught(world, tmp_path / "t.parquet", data, tagger(world, tmp_path / "a", 5), student_language="qab")


def test_golds_are_known_or_not() -> None:
    teaching = TaggingTeaching(PANX)
    rows = Sentences([Sentence(("a",), (1,)), Sentence(("b",), (UNTAGGED,))])
    assert teaching.golds(rows) == [(1,), None] and teaching.ids(rows) == ["0", "1"] and teaching.heads == ("tagging",)


@pytest.mark.slow
def test_a_student_with_another_tokenizer_learns_without_tags_alone_and_in_a_mixture(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("fairseq")
    data, plain = write_world(tmp_path / "data"), tmp_path / "bare"
    write_bare(plain / "train-qaa.tsv", sentences("qaa", 160, 1))
    (plain / "dev-qaa.tsv").write_bytes((data / "dev-qaa.tsv").read_bytes())
    start = Body.load(world / "body")
    texts = [f"{a} {b}" for a, b, _ in pairs("qaa", 300, 7)]
    own = Tokenizer(train_tokenizer(texts, 30, model_type="bpe"))
    Embedding(torch.randn(len(own), 32, generator=torch.Generator().manual_seed(9)), torch.zeros(len(own)), own, "qaa",
              start.lineage).save(tmp_path / "qaa")
    others = Embedding.load(world / "qaa").tokenizer
    assert len({len(own.encode(word)) - len(others.encode(word)) for word in WORDS["qaa"]}) > 1  # pieces of other lengths
    run = ("--lr", 5e-3, "--batch-size", 16, "--threads", 1, "--dropout", 0, "--attention-dropout", 0, "--cpu", "--quiet",
           "--validate-every", 30)

    def relexify(*words: object) -> int:
        return main([str(word) for word in words])

    assert relexify("finetune", "--body", world / "body", "--embedding", world / "qaa", "--task", "panx", "--data", data,
                    "--output", tmp_path / "teacher", "--updates", 60, *run) == 0
    assert relexify("teach", "--body", tmp_path / "teacher", "--embedding", world / "qaa", "--task", "panx", "--data", plain,
                    "--output", tmp_path / "panx.parquet", "--device", "cpu", "--quiet") == 0
    assert relexify("finetune", "--body", world / "body", "--embedding", tmp_path / "qaa", "--task", "panx", "--data", plain,
                    "--teacher", tmp_path / "panx.parquet", "--output", tmp_path / "student", "--updates", 90, *run) == 0
    record = Body.load(tmp_path / "student").task or {}
    assert record["dev"]["score"] > 0.8 > record["dev"]["baseline"]["score"] + 0.5 and "majority" not in record
    assert relexify("evaluate", "--body", tmp_path / "student", "--embedding", tmp_path / "qaa", "--task", "panx",
                    "--split", "test", "--data", data, "--output", tmp_path / "scores", "--device", "cpu", "--quiet") == 0
    assert json.loads((tmp_path / "scores" / "results.json").read_text())[0]["score"] > 0.8
    (tmp_path / "mixture.yaml").write_text(f"tasks:\n  panx: {{data: {plain}, teacher: {tmp_path / 'panx.parquet'}, "
                                           f"distillation_loss: kl}}\n  xnli: {{data: {world / 'data'}}}\n")
    assert relexify("multitask", "--body", world / "body", "--embedding", world / "qaa", "--mixture", tmp_path / "mixture.yaml",
                    "--output", tmp_path / "both", "--updates", 40, *run) == 0
    made = Body.load(tmp_path / "both").made["tasks"]
    assert made["panx"]["teacher"]["loss"] == "kl" and "teacher" not in made["xnli"]
