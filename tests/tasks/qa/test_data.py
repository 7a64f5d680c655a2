"""Readers of extractive questions: every set's layout and names by a small file, and every way a file can be wrong."""

from __future__ import annotations

import gzip
import json
import logging
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from tasks.qa.data import (
    Answer,
    Question,
    Questions,
    aligned_start,
    read_hub,
    read_squad_file,
)
from tasks.qa.known import question_answering
from tasks.qa.mlqa import MLQA

SHARED = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data"
CONTEXT = "The cat 🐈 sat on the mat."


def read(task: str, data: str | Path, split: str, language: str, question_language: str = "", **more: Any) -> Questions:
    return question_answering(task).read(data, split, language, question_language=question_language, **more)


def available(task: str, data: str, split: str) -> list[str]:
    return question_answering(task).available(data, split)


available_pairs = MLQA.available_pairs


def qa(identifier: str = "q1", text: str = "cat", start: int = 4, **more: Any) -> dict[str, Any]:
    return {"id": identifier, "question": "Who sat?", "answers": [{"text": text, "answer_start": start}], **more}


def layout(*questions: dict[str, Any], context: str = CONTEXT) -> dict[str, Any]:
    return {"version": "1.1", "data": [{"title": "Cats", "paragraphs": [{"context": context, "qas": list(questions)}]}]}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = (content if isinstance(content, str) else json.dumps(content)).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


# --- one file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_squad_layout(tmp_path: Path, name: str) -> None:
    two = qa("q2", "mat", 21)
    two["answers"].append({"text": "the mat", "answer_start": 17})
    questions = read_squad_file(write(tmp_path / name, layout(qa(), two)))
    assert list(questions) == [
        Question("q1", "Who sat?", CONTEXT, (Answer("cat", 4),), title="Cats"),
        Question("q2", "Who sat?", CONTEXT, (Answer("mat", 21), Answer("the mat", 17)), title="Cats")]
    assert (len(questions), questions.files, questions.misaligned, questions.dropped) == (2, [str(tmp_path / name)], [], 0)


def test_questions_of_a_paragraph_share_its_text(tmp_path: Path) -> None:
    one, two = read_squad_file(write(tmp_path / "a.json", layout(qa("q1"), qa("q2"))))
    assert one.context is two.context


def test_texts_are_not_touched(tmp_path: Path) -> None:
    """Offsets count the code points of the text as it stands."""
    context = "\ufeff  cafe\u0301\r\n𠀀x "
    entry = {**qa(text=" 𠀀x", start=9), "question": " Who\n"}
    item, = read_squad_file(write(tmp_path / "a.json", layout({**entry, "answers": [
        {"text": "𠀀x", "answer_start": 10}]}, context=context)))
    assert (item.context, item.question, item.answers[0]) == (context, " Who\n", Answer("𠀀x", 10))
    assert aligned_start(item, item.answers[0]) == 10


def test_impossible_questions_and_byte_order_mark(tmp_path: Path) -> None:
    content = layout(qa(is_impossible=False), {**qa("q2", is_impossible=True), "answers": []})
    questions = read_squad_file(write(tmp_path / "a.json", "\ufeff" + json.dumps(content)))
    assert [(item.impossible, len(item.answers)) for item in questions] == [(False, 1), (True, 0)]


def test_misaligned_answers_are_kept_and_reported(tmp_path: Path, caplog: Any) -> None:
    two = qa("q2")
    two["answers"].append({"text": "dog", "answer_start": 4})
    path = write(tmp_path / "a.json", layout(qa("q0"), qa("q1", "cat", 5), two, qa("q3", "sat on the mats", 10)))
    with caplog.at_level(logging.WARNING):
        questions = read_squad_file(path)
    assert (len(questions), questions.misaligned) == (4, ["q1", "q2", "q3"])
    assert "a.json: 3 of 4 questions have an answer that is not at its offset (first: id q1): it is looked " in caplog.text
    assert "kept" not in caplog.text  # where an answer stands nowhere, training leaves the question out and says so


@pytest.mark.parametrize(("text", "start", "expected"), [
    ("ab", 0, 0), ("ab", 3, 3), ("ab", 2, 3), ("ab", 4, 3), ("ab", 6, 3), ("ab", 7, 9), ("ab", 10, 9), ("b", 6, 4),
    ("ba", 1, None), ("x", 0, None)])
def test_aligned_start_is_the_nearest_occurrence(text: str, start: int, expected: int | None) -> None:
    question = Question("q", "?", "ab ab....ab", ())  # ab at 0, 3, 9; b also at 1, 4, 10
    assert aligned_start(question, Answer(text, start)) == expected


def test_aligned_start_takes_the_earlier_of_two_equally_near() -> None:
    assert aligned_start(Question("q", "?", "a..-..a", ()), Answer("a", 3)) == 0


def test_same_data_has_the_same_hash_in_every_layout(tmp_path: Path) -> None:
    one = layout(qa("q1"), qa("q2", "mat", 21))
    two = {"data": [{"paragraphs": [{"qas": [{**qa("q1"), "is_impossible": False}], "context": CONTEXT},
                                    {"qas": [qa("q2", "mat", 21)], "context": CONTEXT}]}]}
    first, second = (read_squad_file(write(tmp_path / name, content)).sha256()
                     for name, content in (("a.json", one), ("b.json.gz", two)))
    assert first == second
    for other in (layout(qa("q2", "mat", 21), qa("q1")), layout(qa("q1"), qa("q2", "mat", 20)), layout(qa("q1"))):
        assert read_squad_file(write(tmp_path / "c.json", other)).sha256() != first


PLACE = r"bad.json: article 1 \('Cats'\), paragraph 1"


@pytest.mark.parametrize(("content", "message"), [
    ([], r"bad.json: expected an object with 'data', got a list; the file is not in SQuAD's layout"),
    ({"rows": []}, r"bad.json: 'data' is missing, found 'rows'"),
    ({"data": {}}, r"bad.json: 'data' is '\{\}' \(an object\); expected a list"),
    ({"data": [{"title": "T"}]}, r"bad.json: article 1: 'paragraphs' is missing, found 'title'"),
    ({"data": [{"title": 3, "paragraphs": []}]}, r"article 1: 'title' is '3' \(a whole number\); expected a text"),
    ({"data": [{"paragraphs": [{"qas": []}]}]}, r"bad.json: article 1, paragraph 1: 'context' is missing"),
    ({"data": [{"paragraphs": [{"context": "x"}]}]}, r"article 1, paragraph 1: 'qas' is missing"),
    (layout(qa(), context=" \n"), PLACE + r": 'context' is empty"),
    (layout(qa(), context="a cat \ud83d"), PLACE + r": 'context' holds half of a surrogate pair at character 6"),
    (layout(qa(), {"question": "?"}), PLACE + r", question 2: 'id' is missing, found 'question'"),
    (layout({**qa(), "id": 7}), PLACE + r", question 1: 'id' is '7' \(a whole number\); expected a text"),
    (layout(qa(), qa()), PLACE + r", question id 'q1': this id occurs twice"),
    (layout({**qa(), "question": " "}), PLACE + r", question id 'q1': 'question' is empty; expected a text"),
    (layout({"id": "q1", "question": "?"}), r"question id 'q1': 'answers' is missing, .*stripped, take the official file"),
    (layout({**qa(), "answers": {"text": "cat"}}), r"question id 'q1': 'answers' is .* \(an object\); expected a list"),
    (layout({**qa(), "answers": ["cat"]}), r"question id 'q1', answer 1: expected an object with 'text', got a text"),
    (layout(qa(text="")), r"question id 'q1', answer 1: 'text' is empty; .*stripped, take the official file"),
    (layout(qa(start="4")), r"answer 1: 'answer_start' is '4' \(a text\); expected a whole number"),  # type: ignore[arg-type]
    (layout(qa(start=True)), r"answer 1: 'answer_start' is 'True' \(true or false\); expected a whole number"),
    (layout(qa(start=25)), r"question id 'q1', answer 1: 'answer_start' is 25, outside the context of 25 characters; .*not b"),
    (layout(qa(start=-1)), r"'answer_start' is -1, outside the context"),
    (layout(qa(is_impossible="false")), r"question id 'q1': 'is_impossible' is 'false' \(a text\); expected true or false"),
    (layout(qa(is_impossible=True)), r"question id 'q1': 'is_impossible' is true, but it has 1 answers"),
])
def test_malformed_entries(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_squad_file(write(tmp_path / "bad.json", content))


def test_damaged_files(tmp_path: Path) -> None:
    whole = json.dumps(layout(qa()))
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(UserError, match=r"cut.json:1:\d+: the file ends before its JSON does"):
            read_squad_file(write(tmp_path / "cut.json", whole[:length]))
    with pytest.raises(UserError, match=r"bad.json:2:10: not valid JSON \(.*\); expected a file in SQuAD's layout"):
        read_squad_file(write(tmp_path / "bad.json", '{"version": 1,\n "data": x, "more": [1, 2, 3]}'))
    with pytest.raises(UserError, match=r"two.json:2:1: not valid JSON \(Extra data\)"):
        read_squad_file(write(tmp_path / "two.json", '{"data": []}\n{}'))
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'{"data": "caf\xe9 "}')
    with pytest.raises(UserError, match=r"latin.json:1: expected UTF-8 text, found byte 0xe9"):
        read_squad_file(latin)
    zipped = write(tmp_path / "a.json.gz", layout(*(qa(f"q{number}") for number in range(200))))
    zipped.write_bytes(zipped.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"a.json.gz: the gzip data is damaged"):
        read_squad_file(zipped)
    with pytest.raises(UserError, match=r"no.json: expected a file of questions in SQuAD's layout.*found nothing"):
        read_squad_file(tmp_path / "no.json")


# --- names of files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "name", "split", "language"), [
    ("squad", "train-v1.1.json", "train", "en"), ("squad", "dev-v1.1.json", "dev", "en"),
    ("squad", "train-v1.1.subset.json.gz", "train", "en"), ("squad", "dev-qaa.json", "dev", "qaa"),
    ("squad", "test-x-mini.json", "test", "x-mini"), ("squad2", "dev-v2.0.json", "dev", "en"),
    ("squad2", "train-v2.0.ten.json", "train", "en"), ("squad2", "train-sw.json", "train", "sw"),
    ("xquad", "xquad.zh.json", "test", "zh"), ("xquad", "xquad.zh-Hant.json", "test", "zh-hant"),
    ("mlqa", "dev-context-ar-question-ar.json", "dev", "ar"),
    ("mlqa", "test/test-context-ar-question-ar.json", "test", "ar"),
    ("mlqa", "MLQA_V1/dev/dev-context-ar-question-ar.json", "dev", "ar"),
    ("tydiqa", "tydiqa.goldp.sw.dev.json", "dev", "sw"), ("tydiqa", "tydiqa.sw.train.json", "train", "sw"),
    ("tydiqa", "tydiqa-goldp-v1.1-dev/tydiqa.sw.dev.json", "dev", "sw"),
    ("tydiqa", "tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-swahili.json", "dev", "sw")])
def test_official_names_are_found(tmp_path: Path, task: str, name: str, split: str, language: str) -> None:
    path = write(tmp_path / name, layout(qa()))
    questions = read(task, tmp_path, split, language)
    assert (len(questions), questions.files) == (1, [str(path)])
    assert [code.lower() for code in available(task, str(tmp_path), split)] == [language]


def test_squad_and_squad2_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "dev-v1.1.json", layout(qa("one")))
    write(tmp_path / "dev-v2.0.json", layout(qa("two")))
    assert [read(task, tmp_path, "dev", "en").questions[0].id for task in ("squad", "squad2")] == ["one", "two"]
    write(tmp_path / "dev-en.json", layout(qa("mine")))
    assert read("squad", tmp_path, "dev", "en").questions[0].id == "mine"


def test_several_equally_good_files_are_an_error(tmp_path: Path) -> None:
    for name in ("train-v1.1.a.json", "train-v1.1.b.json.gz", "dev/dev-context-ar-question-ar.json",
                 "MLQA_V1/dev/dev-context-ar-question-ar.json"):
        write(tmp_path / name, layout(qa()))
    with pytest.raises(UserError, match=r"train-v1.1.a.json, train-v1.1.b.json.gz; name the right one with --train-file"):
        read("squad", tmp_path, "train", "en")
    with pytest.raises(UserError, match=r"several files fit dev in 'ar': MLQA_V1/dev/.*, dev/dev-.*; keep one of them"):
        read("mlqa", tmp_path, "dev", "ar")


def test_mlqa_pairs_are_context_then_question(tmp_path: Path) -> None:
    write(tmp_path / "dev/dev-context-ar-question-de.json", layout(qa("ar-de")))
    write(tmp_path / "dev-context-de-question-de.json", layout(qa("de-de")))
    assert available_pairs(str(tmp_path), "dev") == [("ar", "de"), ("de", "de")]
    assert (available("mlqa", str(tmp_path), "dev"), available_pairs(str(tmp_path), "test")) == (["de"], [])
    assert read("mlqa", tmp_path, "dev", "ar", "de").questions[0].id == "ar-de"
    with pytest.raises(UserError, match=r"no dev data in context 'de', question 'ar' .*data in: ar/de, de/de"):
        read("mlqa", tmp_path, "dev", "de", "ar")
    with pytest.raises(UserError, match=r"xquad: questions in 'de' on contexts in 'ar': only mlqa mixes languages"):
        read("xquad", tmp_path, "test", "ar", "de")


def test_tydiqa_file_of_all_languages_is_filtered_by_id(tmp_path: Path, caplog: Any) -> None:
    write(tmp_path / "tydiqa-goldp-v1.1-dev.json", layout(qa("swahili-1-0"), qa("english-2-0"), qa("swahili-3-0", start=5)))
    questions = read("tydiqa", tmp_path, "dev", "sw")
    assert ([item.id for item in questions], questions.misaligned) == (["swahili-1-0", "swahili-3-0"], ["swahili-3-0"])
    assert read("tydiqa", tmp_path, "dev", "en").misaligned == []
    assert len(available("tydiqa", str(tmp_path), "dev")) == 9
    with pytest.raises(UserError, match=r"no questions in 'te'; the file holds en, sw"):
        read("tydiqa", tmp_path, "dev", "te")
    with pytest.raises(UserError, match=r"no dev data in 'de' \(looked for tydiqa.goldp.de.dev.json"):
        read("tydiqa", tmp_path, "dev", "de")


def test_missing_language_names_those_that_are_there(tmp_path: Path) -> None:
    for code in ("de", "qaa"):
        write(tmp_path / f"xquad.{code}.json", layout(qa()))
    with pytest.raises(UserError, match=r"no test data in 'el' \(looked for xquad.el.json\); there is test data in: de, qaa; "):
        read("xquad", tmp_path, "test", "el")
    with pytest.raises(UserError, match=r"no test data in 'de-AT' .*did you mean 'de'\?"):
        read("xquad", tmp_path, "test", "de-AT")
    with pytest.raises(UserError, match=r"holds no train data of squad at all; name the files with --train-file"):
        read("squad", tmp_path, "train", "en")
    with pytest.raises(UserError, match=r"expected a folder with the task's files, found nothing"):
        read("squad", tmp_path / "nowhere", "train", "en")


@pytest.mark.parametrize(("task", "split", "message"), [
    ("xquad", "dev", r"XQuAD has no dev split: it is one set of questions, called 'test'; use --split test"),
    ("xquad", "train", r"XQuAD has no train split.*finetune and choose settings on --task squad"),
    ("mlqa", "train", r"MLQA has no train split: finetune on --task squad"),
    ("tydiqa", "test", r"unknown split of tydiqa 'test' \(known: dev, train\)"),
    ("squad", "tset", r"unknown split of squad 'tset', did you mean 'test'\?"),
    ("squat", "dev", r"unknown question-answering task 'squat', did you mean 'squad'\?"),
])
def test_wrong_splits(tmp_path: Path, task: str, split: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(task, tmp_path, split, "en")
    with pytest.raises(UserError, match=message):
        available(task, str(tmp_path), split)


def test_wrong_codes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"language 'zh_Hant': expected a BCP-47 code .*did you mean 'zh-Hant'"):
        read("xquad", tmp_path, "test", "zh_Hant")


def test_named_files_are_read_together(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.json", layout(qa("a"))), write(tmp_path / "2.json", layout(qa("b", start=5)))
    questions = read("squad", tmp_path, "train", "en", files=[one, two])
    assert [item.id for item in questions] == ["a", "b"]
    assert (questions.files, questions.misaligned) == ([str(one), str(two)], ["b"])


def test_repeated_ids_are_refused_but_for_training(tmp_path: Path, caplog: Any) -> None:
    """XTREME's training file of TyDiQA repeats ids; where predictions are told apart by them, that cannot be."""
    one = write(tmp_path / "1.json", layout(qa("a"), qa("b"), qa("a", "mat", 5), qa("a#3"), qa("a")))
    two = write(tmp_path / "2.json", layout(qa("b")))
    with caplog.at_level(logging.WARNING):
        questions = read("squad", tmp_path, "train", "en", files=[one, two])
    assert [item.id for item in questions] == ["a", "b", "a#2", "a#3", "a#4", "b#2"]
    assert questions.misaligned == ["a#2"]
    assert "1.json: 2 of 5 questions repeat the id of another one (first: id a); all are kept" in caplog.text
    with pytest.raises(UserError, match=r"1.json: .*question id 'a': this id occurs twice"):
        read("squad", tmp_path, "dev", "en", files=[one])
    with pytest.raises(UserError, match=r"4.json: .*question id 'b': this id is also in .*2.json"):
        read("squad", tmp_path, "dev", "en", files=[two, write(tmp_path / "4.json", layout(qa("b")))])


@pytest.mark.parametrize(("task", "entries", "message"), [
    ("squad", [], r"dev-qaa.json: no questions; the file is empty"),
    ("squad", [qa(), {**qa("q2", is_impossible=True), "answers": []}],
     r"1 of 2 questions have no answer \(first: id q2\): this is SQuAD 2.0, not squad; use --task squad2"),
    ("squad", [qa(), {**qa("q2"), "answers": []}], r"1 of 2 questions have no answers \(first: id q2\); if the answers"),
    ("squad2", [qa(), {**qa("q2"), "answers": []}], r"1 of 2 questions have no answers and are not marked 'is_impossible'"),
])
def test_questions_that_can_be_neither_trained_on_nor_scored(tmp_path: Path, task: str, entries: list[Any],
                                                             message: str) -> None:
    write(tmp_path / "dev-qaa.json", layout(*entries))
    with pytest.raises(UserError, match=message):
        read(task, tmp_path, "dev", "qaa")


# --- the hub -----------------------------------------------------------------------------------------------------------


def stub(monkeypatch: pytest.MonkeyPatch, *rows: dict[str, Any]) -> list[Any]:
    """Puts a stub in the place of `datasets` and returns the list of what it is asked for."""
    asked: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        asked.append((args, kwargs))
        return list(rows)

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return asked


def row(identifier: str, *answers: tuple[str, int], context: str = CONTEXT) -> dict[str, Any]:
    return {"id": identifier, "title": "Cats", "context": "".join([*context]), "question": "Who sat?",
            "answers": {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}}


@pytest.mark.parametrize(("task", "split", "languages", "name", "expected"), [
    ("squad", "dev", ("en",), "hf:rajpurkar/squad", (("rajpurkar/squad", None), "validation")),
    ("squad2", "train", ("en",), "hf:rajpurkar/squad_v2", (("rajpurkar/squad_v2", None), "train")),
    ("xquad", "test", ("th",), "hf:google/xquad", (("google/xquad", "xquad.th"), "validation")),
    ("mlqa", "dev", ("ar", "de"), "hf:facebook/mlqa", (("facebook/mlqa", "mlqa.ar.de"), "validation")),
    ("mlqa", "test", ("zh",), "hf:facebook/mlqa", (("facebook/mlqa", "mlqa.zh.zh"), "test")),
    ("tydiqa", "dev", ("sw",), "hf:google-research-datasets/tydiqa",
     (("google-research-datasets/tydiqa", "secondary_task"), "validation")),
])
def test_hub_names(monkeypatch: pytest.MonkeyPatch, task: str, split: str, languages: tuple[str, ...], name: str,
                   expected: Any) -> None:
    asked = stub(monkeypatch, row("swahili-1", ("cat", 4)), row("swahili-2", ("mat", 21)))
    questions = read(task, name, split, *languages)
    assert asked == [(expected[0], {"split": expected[1], "revision": None})]
    assert len(questions) == 2 and questions.questions[0].context is questions.questions[1].context
    assert languages[0] in available(task, name, split)


def test_hub_rows_are_files_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = stub(monkeypatch, row("q1", ("cat", 4), ("The cat", 0)), row("q2"))
    questions = read_hub("hf:rajpurkar/squad_v2@abc", None, "train")
    assert asked[0][1]["revision"] == "abc" and questions.files == ["hf:rajpurkar/squad_v2/train"]
    assert [item.impossible for item in questions] == [False, True]
    same = {**qa(), "answers": [{"text": "cat", "answer_start": 4}, {"text": "The cat", "answer_start": 0}]}
    path = write(tmp_path / "a.json", layout(same, {**qa("q2", is_impossible=True), "answers": []}))
    assert read_squad_file(path).sha256() == questions.sha256()
    assert read_squad_file(path).questions == questions.questions


def test_hub_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=fails))
    with pytest.raises(UserError, match=r"hf:google/xquad/xquad.th/validation: could not be loaded from the hub: no network"):
        read("xquad", "hf:google/xquad", "test", "th")
    with pytest.raises(UserError, match=r"squad on the hub is English, not 'de'; put the files into a folder, dev-de.json"):
        read("squad", "hf:rajpurkar/squad", "dev", "de")
    with pytest.raises(UserError, match=r"split 'test' of squad2 is not published"):
        read("squad2", "hf:rajpurkar/squad_v2", "test", "en")
    stub(monkeypatch, row("q1", ("cat", 99)))
    with pytest.raises(UserError, match=r"validation: row 1, question id 'q1', answer 1: 'answer_start' is 99, outside"):
        read("squad", "hf:rajpurkar/squad", "dev", "en")
    stub(monkeypatch, {**row("q1"), "answers": {"text": ["cat"], "answer_start": []}})
    with pytest.raises(UserError, match=r"row 1: 1 answer texts, but 0 offsets"):
        read("squad", "hf:rajpurkar/squad", "dev", "en")


# --- real data ---------------------------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "xquad").is_dir(), reason="no real data")
def test_real_files() -> None:
    assert len(read("squad", SHARED / "squad", "train", "en")) == 11_269
    assert len(read("squad2", SHARED / "squad", "dev", "en")) == 6_078
    assert any(item.impossible for item in read("squad2", SHARED / "squad", "train", "en"))
    assert len(available("xquad", str(SHARED / "xquad"), "test")) == 12
    for language in available("xquad", str(SHARED / "xquad"), "test"):
        assert len(read("xquad", SHARED / "xquad", "test", language)) == 1_190
    pairs = available_pairs(str(SHARED / "mlqa"), "dev")
    assert len(pairs) == 49
    for context, question in pairs:
        assert len(read("mlqa", SHARED / "mlqa", "dev", context, question)) > 100
    assert len(read("tydiqa", SHARED / "tydiqa", "train", "en")) == 3_696


def test_questions_are_a_sequence_of_their_own() -> None:
    questions = Questions([Question("q", "?", "x", ())])
    assert [item.id for item in questions] == ["q"] and len(questions) == 1
