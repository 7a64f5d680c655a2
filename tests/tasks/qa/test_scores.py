"""Scores of extracted answers: the official scorers' records to the last digit, and each rule by a case worked by hand."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from adapt.text.segment import segment, spaceless
from pretrain.base.errors import UserError
from tasks.qa.data import Answer, Question, Questions
from tasks.qa.known import question_answering
from tasks.qa.scores import (
    MLQA_ARTICLES,
    Rules,
    mlqa_normalise,
    score_answer,
    score_squad2,
    segmented_f1,
    squad_normalise,
)
from tasks.qa.scores import score as score_by
from tasks.qa.scores import score_each as score_each_by

VECTORS = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "vectors"
officially = pytest.mark.skipif(not VECTORS.is_dir(), reason="no official records")
EXACT = pytest.approx


def rules_for(task: str, language: str) -> Rules:
    return question_answering(task).rules(language)


def score(questions: Any, predictions: Any, task: str, language: str) -> dict[str, Any]:
    return score_by(questions, predictions, rules_for(task, language), language)


def score_each(questions: Any, predictions: Any, task: str, language: str) -> dict[str, tuple[float, float]]:
    return score_each_by(questions, predictions, rules_for(task, language))


def asked(identifier: str, *answers: str) -> Question:
    """A question whose answers are these; its context is their list."""
    return Question(identifier, "?", "|".join(answers) or "none", tuple(Answer(text, 0) for text in answers), not answers)


# --- the official records ----------------------------------------------------------------------------------------------


@officially
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "task"), [("mlqa_scores.json", "mlqa"), ("squad1_scores.json", "xquad")])
def test_official_records_of_single_answers(name: str, task: str) -> None:
    for language, records in json.loads((VECTORS / name).read_text(encoding="utf-8")).items():
        rules = rules_for(task, language)
        assert len(records) > 50
        for record in records:
            exact, f1 = score_answer(record["prediction"], record["golds"], rules)
            assert (exact, f1) == EXACT((record["exact_match"], record["f1"]), rel=1e-9, abs=1e-9), (language, record)


@officially
@pytest.mark.realdata
def test_official_record_of_squad2() -> None:
    record = json.loads((VECTORS / "squad2_scores.json").read_text(encoding="utf-8"))
    questions = [Question(qa["id"], qa["question"], paragraph["context"],
                          tuple(Answer(one["text"], one["answer_start"]) for one in qa["answers"]), qa["is_impossible"])
                 for article in record["dataset"]["data"] for paragraph in article["paragraphs"]
                 for qa in paragraph["qas"]]
    result = score_squad2(questions, record["predictions"], record["no_answer_probability"],
                          record["no_answer_threshold"])
    assert {name: result[name] for name in record["expected"]} == EXACT(record["expected"], rel=1e-9, abs=1e-9)
    assert result["exact_match"] == result["exact"] and result["rules"] == "squad-2.0"


# --- SQuAD 1.1's rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "form"), [
    ("The Cat", "cat"),
    ("  a\tb\n c\u3000d ", "b c d"),  # an article, and every kind of white space
    ("U.S.-based", "usbased"),  # punctuation leaves no space behind
    ("an-the", "anthe"),  # punctuation goes before the articles
    ("the, a. an!", ""),
    ("theatre band", "theatre band"),  # articles are whole words
    ("«Кот»、", "«кот»、"),  # ASCII punctuation only
    ("10 % of $5", "10 of 5"),
    ("a\u0301 the\u0301", "\u0301 \u0301"),  # a combining mark ends a word for the official pattern
])
def test_squad_form(text: str, form: str) -> None:
    assert squad_normalise(text) == form


@pytest.mark.parametrize(("prediction", "golds", "expected"), [
    ("the Black cat", ["a black cat!"], (1.0, 1.0)),
    ("black cat", ["cat black"], (0.0, 1.0)),  # F1 knows no order
    ("black black cat", ["black cat cat"], (0.0, 2 / 3)),  # but it counts repetitions
    ("cat", ["black cat", "dog"], (0.0, 2 / 3)),
    ("big cat", ["cat", "big dog or cat"], (0.0, 2 / 3)),  # the better gold
    ("dog", ["cat"], (0.0, 0.0)),
    ("", ["cat"], (0.0, 0.0)),
    ("", ["the"], (1.0, 0.0)),  # equal, yet no token in common: the official figures
    ("ดวงอาทิตย์ดวง", ["ดวงอาทิตย์"], (0.0, 0.0)),  # a Thai text without spaces is one token
])
def test_squad_score_of_an_answer(prediction: str, golds: list[str], expected: tuple[float, float]) -> None:
    assert score_answer(prediction, golds, rules_for("squad", "en")) == EXACT(expected, rel=1e-9, abs=1e-12)


def test_xquad_and_tydiqa_have_squads_rules_in_every_language() -> None:
    assert {rules_for(task, language).name for task in ("squad", "xquad", "tydiqa") for language in ("en", "th", "sw")} == {
        "squad-1.1"}


def test_an_answer_without_golds_has_no_score() -> None:
    with pytest.raises(ValueError, match="no score"):
        score_answer("x", [], rules_for("xquad", "en"))


# --- MLQA's rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "text", "form"), [
    ("en", "The «U.K.», an isle…", "uk isle"),  # all of Unicode's punctuation
    ("en", "a+b £5 ^ `", "ab £5"),  # ASCII's symbols go, other symbols stay
    ("es", "La casa y un río en el ¡Perú!", "casa y río en perú"),
    ("es", "las unas los unos una", ""),
    ("es", "the", "the"),
    ("de", "Der Hund und die Katze des Königs", "hund und katze königs"),
    ("de", "einem einer eines einen eine ein das den dem", ""),
    ("de", "deren Dame", "deren dame"),
    ("vi", "Những cái bàn là của tôi", "bàn tôi"),
    ("vi", "chiếc xe", "xe"),
    ("hi", "एक «किताब» है।", "एक किताब है"),  # no articles; the danda is punctuation
    ("ar", "الكتاب، والكتاب؟", "كتاب و كتاب"),  # at the start and inside a word
    ("ar", "كتاب الله", "كتاب له"),
    ("zh", "在2008年，Beijing奥运会", "在 2008 年 beijing 奥 运 会"),
    ("zh", "the 红 军", "the 红 军"),
    ("zh", "㐀龦龥", "㐀龦 龥"),  # its ideographs end at U+9FA5
    ("zh-Hant", "臺灣", "臺 灣"),
    ("en-GB", "the lift", "lift"),
])
def test_mlqa_form(language: str, text: str, form: str) -> None:
    assert mlqa_normalise(text, language) == form


def test_mlqa_f1_in_chinese_counts_characters() -> None:
    assert score_answer("红军队", ["红军"], rules_for("mlqa", "zh")) == EXACT((0.0, 0.8), rel=1e-9, abs=1e-12)
    assert score_answer("红军队", ["红军"], rules_for("xquad", "zh")) == (0.0, 0.0)


def test_mlqa_scores_nothing_against_nothing_as_squad_does() -> None:
    assert score_answer("", ["?"], rules_for("mlqa", "en")) == (1.0, 0.0)


def test_languages_outside_mlqa_have_a_rule_under_another_name() -> None:
    assert sorted(MLQA_ARTICLES) == ["ar", "de", "en", "es", "hi", "vi", "zh"]
    assert [rules_for("mlqa", code).name for code in ("de", "zh-Hant", "en-US")] == [
        "mlqa-1 (de)", "mlqa-1 (zh)", "mlqa-1 (en)"]
    assert rules_for("mlqa", "el").name == "mlqa+ (el: not an MLQA language; no articles, white-space tokens)"
    assert rules_for("mlqa", "th").name == "mlqa+ (th: not an MLQA language; no articles, character tokens)"
    assert mlqa_normalise("Η «Αθήνα», the", "el") == "η αθήνα the"
    assert mlqa_normalise("«น้ำ»แข็ง ABC 12", "th") == "น้ำ แ ข็ ง abc 12"


# --- languages without spaces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "tokens"), [
    ("one two", ["one", "two"]),
    ("กินข้าว", ["กิ", "น", "ข้", "า", "ว"]),
    ("น้ำ", ["น้ำ"]),  # sara am is a letter, but part of the character before
    ("พ.ศ.๒๕๖๐", ["พ", ".", "ศ", ".๒๕๖๐"]),  # digits make one number
    ("東京タワー2階", ["東", "京", "タ", "ワ", "ー", "2", "階"]),
    ("か\u3099ﾊﾞ", ["か\u3099", "ﾊﾞ"]),
    ("ខ្មែរ", ["ខ្មែ", "រ"]),  # a stacked consonant stays with its base
    ("မြန်မာ", ["မြ", "န်", "မာ"]),
    ("ລາວ", ["ລ", "າ", "ວ"]),
    ("བོད", ["བོ", "ད"]),
    ("ไทย\u200bABC\u200dD", ["ไ", "ท", "ย", "ABCD"]),
    ("𠀀a\u0301é", ["𠀀", "a\u0301é"]),
    (" \u0301x", ["\u0301x"]),
    ("", []),
])
def test_segments(text: str, tokens: list[str]) -> None:
    assert segment(text) == tokens


@pytest.mark.parametrize(("language", "expected"), [("th", True), ("zh", True), ("zh-Hant-TW", True), ("zh-Latn", False),
                                                    ("ja", True), ("lo", True), ("km", True), ("my", True), ("bo", True),
                                                    ("ko", False), ("vi", False), ("en", False), ("x-mini", False),
                                                    ("x-thai", False), ("pi-Thai", True), ("th-x-latn", True)])
def test_languages_written_without_spaces(language: str, expected: bool) -> None:
    assert spaceless(language) is expected


def test_segmented_f1() -> None:
    assert segmented_f1("กินข้าว", ["ข้าว"]) == EXACT(2 * 3 / 8)  # 3 of 5 and 3 of 3 characters
    assert segmented_f1("は\u3099い、ABC", ["ばい abc"]) == 1.0  # composed or not, punctuation, case
    assert segmented_f1("東京", ["大阪", "京都"]) == 0.5
    assert segmented_f1("the cat", ["cat"]) == EXACT(2 / 3)  # no articles
    assert (segmented_f1("", []), segmented_f1("。", [""]), segmented_f1("東", [])) == (1.0, 1.0, 0.0)


# --- sets of questions -------------------------------------------------------------------------------------------------


def test_scores_are_percentages_over_all_questions(caplog: Any) -> None:
    questions = Questions([asked("a", "cat"), asked("b", "black cat"), asked("c", "dog"), asked("d", "bird")])
    predictions = {"b": "cat", "a": "The cat", "x": "?", "c": "", "y": "?"}
    with caplog.at_level(logging.WARNING):
        result = score(questions, predictions, "squad", "en")
    assert result == {"exact_match": 25.0, "f1": EXACT(100 * (1 + 2 / 3) / 4), "total": 4, "missing": 1,
                      "rules": "squad-1.1"}
    assert "1 of 4 questions have no prediction and score 0 (first: id d)" in caplog.text
    assert "2 predictions are for questions that are not in the gold file and do not count (first: id x)" in caplog.text
    assert list(score_each(questions, predictions, "squad", "en").items()) == [
        ("a", (1.0, 1.0)), ("b", (0.0, EXACT(2 / 3))), ("c", (0.0, 0.0)), ("d", (0.0, 0.0))]


def test_segmented_f1_stands_beside_the_official_one() -> None:
    result = score([asked("a", "ข้าว"), asked("b", "ข้าว")], {"a": "กินข้าว"}, "xquad", "th")
    assert (result["exact_match"], result["f1"], result["f1_segmented"]) == (0.0, 0.0, EXACT(100 * 0.75 / 2))
    assert "f1_segmented" not in score([asked("a", "cat")], {"a": "cat"}, "xquad", "de")


def test_what_cannot_be_scored() -> None:
    with pytest.raises(UserError, match=r"question id 'a' has no answers; squad-1\.1 scores answers only.*--task squad2"):
        score([asked("a")], {"a": "x"}, "xquad", "en")
    with pytest.raises(UserError, match=r"none of the 1 questions has a prediction \(first: id a\); these predictions"):
        score([asked("a", "cat")], {"b": "x"}, "squad", "en")
    with pytest.raises(UserError, match="no questions to score"):
        score_squad2([], {})
    with pytest.raises(UserError, match=r"unknown question-answering task 'squat', did you mean 'squad'\?"):
        score([asked("a", "cat")], {"a": "x"}, "squat", "en")
    with pytest.raises(UserError, match=r"language 'english': expected a BCP-47 code"):
        score([asked("a", "cat")], {"a": "x"}, "mlqa", "english")


# --- SQuAD 2.0's rules -------------------------------------------------------------------------------------------------


def test_squad2_without_probabilities() -> None:
    questions = [asked("a", "cat"), asked("b", "black cat"), asked("c"), asked("d")]
    result = score_squad2(questions, {"a": "cat", "b": "cat", "c": "", "d": "dog"})
    assert result == {"exact_match": 50.0, "exact": 50.0, "f1": EXACT(100 * (1 + 2 / 3 + 1) / 4), "total": 4,
                      "HasAns_exact": 50.0, "HasAns_f1": EXACT(100 * (1 + 2 / 3) / 2), "HasAns_total": 2,
                      "NoAns_exact": 50.0, "NoAns_f1": 50.0, "NoAns_total": 2, "missing": 0, "rules": "squad-2.0"}
    assert score(questions, {"a": "cat", "b": "cat", "c": "", "d": "dog"}, "squad2", "en") == result


def test_squad2_nothing_against_nothing_is_right() -> None:
    rules = rules_for("squad2", "en")
    assert score_answer("", [], rules) == (1.0, 1.0)
    assert score_answer("the", [], rules) == (1.0, 1.0)  # nothing is left of it
    assert score_answer("cat", [], rules) == (0.0, 0.0)
    assert score_answer("", ["cat"], rules) == (0.0, 0.0)
    assert score_answer("", ["the", "cat"], rules) == (0.0, 0.0)  # a gold of which nothing is left does not count
    assert score_answer("", ["the", "..."], rules) == (1.0, 1.0)  # unless there is no other


def test_squad2_knows_answerable_questions_by_their_answers() -> None:
    """SQuAD 1.1's files, which mark nothing, have answerable questions only."""
    result = score_squad2([asked("a", "cat")], {"a": "cat"}, {"a": 0.3})
    assert result["HasAns_total"] == result["total"] == 1 and "NoAns_total" not in result
    assert score_squad2([asked("a")], {"a": ""})["NoAns_exact"] == 100.0


def test_squad2_threshold_makes_predictions_no_answer() -> None:
    questions, predictions = [asked("a", "cat"), asked("b", "dog"), asked("c"), asked("d")], dict.fromkeys("abcd", "cat")
    result = score_squad2(questions, predictions, {"a": 0.1, "b": 0.9, "c": 0.9, "d": 0.5}, threshold=0.5)
    # above, not at, the threshold: b and c become "no answer", which is right for c
    assert (result["exact"], result["HasAns_exact"], result["NoAns_exact"]) == (50.0, 50.0, 50.0)
    assert result["f1"] == 50.0


def test_squad2_best_threshold() -> None:
    questions, predictions = [asked("a", "cat"), asked("b", "dog"), asked("c"), asked("d")], dict.fromkeys("abcd", "cat")
    # silence: 2 points; a answered: 3; then c costs one, b brings none
    result = score_squad2(questions, predictions, {"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.95})
    assert (result["best_exact"], result["best_exact_thresh"]) == (75.0, 0.1)
    assert (result["best_f1"], result["best_f1_thresh"]) == (75.0, 0.1)
    # nothing better than silence: threshold 0
    result = score_squad2(questions, dict.fromkeys("abcd", "bird"), dict.fromkeys("abcd", 0.5))
    assert (result["best_exact"], result["best_exact_thresh"]) == (50.0, 0.0)
    # an empty prediction for an unanswerable question costs nothing; the first of equally good thresholds stands
    result = score_squad2(questions, {"a": "cat", "b": "bird", "c": "", "d": ""}, {"c": 0.1, "a": 0.2, "b": 0.3, "d": 0.3})
    assert (result["best_exact"], result["best_exact_thresh"]) == (75.0, 0.2)
    # what normalises to nothing is an answer here: it scores 1, yet answering costs the point
    result = score_squad2([asked("c")], {"c": "the"}, {"c": 0.5})
    assert (result["exact"], result["best_exact"], result["best_exact_thresh"]) == (100.0, 100.0, 0.0)


def test_squad2_best_threshold_counts_ties_in_the_given_order() -> None:
    questions, predictions = [asked("a", "cat"), asked("c")], {"a": "cat", "c": "cat"}
    assert score_squad2(questions, predictions, {"a": 0.5, "c": 0.5})["best_exact"] == 100.0
    assert score_squad2(questions, predictions, {"c": 0.5, "a": 0.5})["best_exact"] == 50.0


def test_squad2_missing_predictions_and_probabilities(caplog: Any) -> None:
    questions = [asked("a", "cat"), asked("c"), asked("d")]
    with caplog.at_level(logging.WARNING):
        result = score_squad2(questions, {"a": "cat", "c": ""}, {"c": 0.1, "a": 0.2, "d": 0.9, "z": 0.5})
    assert (result["total"], result["missing"], result["NoAns_total"], result["NoAns_exact"]) == (3, 1, 2, 50.0)
    assert result["exact"] == result["best_exact"] == EXACT(200 / 3)
    assert "1 of 3 questions have no prediction" in caplog.text
    with pytest.raises(UserError, match=r"1 predictions have no no-answer probability \(first: id c\)"):
        score_squad2(questions, {"a": "cat", "c": ""}, {"a": 0.2})


def test_squad2_segmented_f1_counts_silence() -> None:
    questions = [asked("a", "ข้าว"), asked("c")]
    result = score_squad2(questions, {"a": "กินข้าว", "c": "ข้าว"}, {"a": 0.1, "c": 0.9}, 0.5, "th")
    assert result["f1_segmented"] == EXACT(100 * (0.75 + 1) / 2)
