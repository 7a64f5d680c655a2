"""Exact match and F1 of extracted answers, equal to the official scorers: SQuAD 1.1, SQuAD 2.0, MLQA.

SQuAD 1.1's rules (Rajpurkar et al. 2016) also score XQuAD and TyDiQA-GoldP, in every language; SQuAD 2.0's
(Rajpurkar et al. 2018) add questions without answer; MLQA's (Lewis et al. 2020) know the language of the answer. What
the official scorers compute is kept, oddities included, and noted where it happens. Standard library only.
"""

from __future__ import annotations

import logging
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt.text.segment import segment, spaceless
from pretrain.base.errors import UserError
from pretrain.base.language import check_language
from tasks.qa.data import Question

logger = logging.getLogger(__name__)

# --- how texts are made comparable -------------------------------------------------------------------------------------

_NO_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words)})\b")


_ENGLISH = _words("a", "an", "the")
MLQA_ARTICLES: dict[str, re.Pattern[str] | None] = {
    "en": _ENGLISH,
    "es": _words("un", "una", "unos", "unas", "el", "la", "los", "las"),
    "de": _words("ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"),
    "vi": _words("của", "là", "cái", "chiếc", "những"),
    "ar": re.compile("ال"),  # meant as the article before a word, but the official pattern matches it inside words, too
    "hi": None,
    "zh": None,
}
"""MLQA's languages -> what its scorer takes for articles there."""


def squad_normalise(text: str) -> str:
    """SQuAD's form of an answer: lower case, no ASCII punctuation, no English articles, single spaces."""
    return " ".join(_ENGLISH.sub(" ", text.lower().translate(_NO_ASCII_PUNCTUATION)).split())


def _strip_punctuation(text: str) -> str:
    """Without ASCII's punctuation and symbols and every character that Unicode calls punctuation."""
    return "".join(char for char in text if char not in string.punctuation and unicodedata.category(char)[0] != "P")


def _chinese_tokens(text: str) -> list[str]:
    """MLQA's tokens of Chinese: each ideograph from U+4E00 to U+9FA5, and what stands between them by white space."""
    return "".join(f" {char} " if "\u4e00" <= char <= "\u9fa5" else char for char in text).split()


def mlqa_normalise(text: str, language: str) -> str:
    """MLQA's form of an answer; elsewhere than in its seven languages the rule that `mlqa_rules` describes.

    Args:
        language: the answer's, not the question's; only the first part of its code counts (`zh-Hant`).

    Raises:
        UserError: not the shape of a language code.
    """
    code = check_language(language)
    text = _strip_punctuation(text.lower())
    base = code.split("-")[0]
    articles = MLQA_ARTICLES.get(base)
    if articles is not None:
        text = articles.sub(" ", text)
    if base == "zh":
        return " ".join(_chinese_tokens(text))
    if base not in MLQA_ARTICLES and spaceless(code):
        return " ".join(segment(text))
    return " ".join(text.split())


# --- one answer --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """How answers are compared.

    Attributes:
        name: stands in every result.
        normalise: text -> its comparable form, tokens separated by single spaces.
        no_answer: SQuAD 2.0's treatment of nothing: golds that normalise to nothing do not count, a question left with
            none has the gold "", and F1 is 1 where both sides are empty. Otherwise F1 is 0 there, though EM is 1.
    """

    name: str
    normalise: Callable[[str], str]
    no_answer: bool = False


SQUAD1 = Rules("squad-1.1", squad_normalise)
SQUAD2 = Rules("squad-2.0", squad_normalise, no_answer=True)


def mlqa_rules(language: str) -> Rules:
    """MLQA's rules for an answer in a language.

    In other languages than MLQA's seven its scorer has no rule; here it is: lower case, the same punctuation away, no articles,
    tokens by white space, or by characters (`adapt.text.segment`) where words are written without spaces. Its name begins with
    `mlqa+`, so that nobody takes it for the official one.

    Raises:
        UserError: not the shape of a language code.
    """
    code = check_language(language)
    base = code.split("-")[0]
    tokens = "character" if spaceless(code) else "white-space"
    name = f"mlqa-1 ({base})" if base in MLQA_ARTICLES else \
        f"mlqa+ ({code}: not an MLQA language; no articles, {tokens} tokens)"
    return Rules(name, lambda text: mlqa_normalise(text, code))


def _overlap(prediction: Sequence[str], gold: Sequence[str], both_empty: float) -> float:
    """F1 of two bags of tokens."""
    if not prediction and not gold:
        return both_empty
    same = sum((Counter(prediction) & Counter(gold)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(prediction), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def score_answer(prediction: str, golds: Sequence[str], rules: Rules) -> tuple[float, float]:
    """Exact match and F1 in [0, 1], each the best over the golds.

    Raises:
        ValueError: no golds, under rules that need some.
    """
    forms = [rules.normalise(gold) for gold in golds]
    if rules.no_answer:
        forms = [form for form in forms if form] or [""]
    if not forms:
        raise ValueError("a question without answers has no score under these rules")
    form = rules.normalise(prediction)
    both_empty = float(rules.no_answer)
    return (float(form in forms), max(_overlap(form.split(), gold.split(), both_empty) for gold in forms))


def segmented_f1(prediction: str, golds: Sequence[str]) -> float:
    """F1 over written characters instead of words: a fair partial credit where words are written without spaces.

    Not an official figure, and never in the place of one. Lower case, Unicode's composed form (NFC), all punctuation
    away, no articles; tokens of `adapt.text.segment`. The best over the golds; no golds: as one empty gold; 1 where
    both sides are empty.
    """
    def tokens(text: str) -> list[str]:
        return segment(_strip_punctuation(unicodedata.normalize("NFC", text.lower())))

    predicted = tokens(prediction)
    return max(_overlap(predicted, tokens(gold), 1.0) for gold in golds or [""])


# --- all questions -----------------------------------------------------------------------------------------------------


def _known(questions: Iterable[Question], predictions: Mapping[str, str]) -> tuple[list[Question], int]:
    """The questions, and how many lack a prediction; warns of these and of predictions for unknown questions."""
    listed = list(questions)
    if not listed:
        raise UserError("no questions to score; the gold file is empty")
    missing = [item.id for item in listed if item.id not in predictions]
    if len(missing) == len(listed):
        raise UserError(f"none of the {len(listed):,} questions has a prediction (first: id {missing[0]}); these "
                        "predictions belong to another set of questions")
    if missing:
        logger.warning(f"{len(missing):,} of {len(listed):,} questions have no prediction and score 0 (first: id "
                       f"{missing[0]})")
    ids = {item.id for item in listed}
    strange = [identifier for identifier in predictions if identifier not in ids]
    if strange:
        logger.warning(f"{len(strange):,} predictions are for questions that are not in the gold file and do not count "
                       f"(first: id {strange[0]})")
    return listed, len(missing)


def score_each(questions: Iterable[Question], predictions: Mapping[str, str], rules: Rules) -> dict[str, tuple[float, float]]:
    """Exact match and F1 in [0, 1] of each question by id, in the questions' order; 0, 0 without a prediction.

    Raises:
        UserError: a question that has no answers, where the rules know none such.
    """
    scores: dict[str, tuple[float, float]] = {}
    for item in questions:
        if not item.answers and not rules.no_answer:
            raise UserError(f"question id {item.id!r} has no answers; {rules.name} scores answers only: take the official file, "
                            "or --task squad2 for questions without answer")
        golds = [answer.text for answer in item.answers]
        known = item.id in predictions
        scores[item.id] = score_answer(predictions[item.id], golds, rules) if known else (0.0, 0.0)
    return scores


def _percent(values: Iterable[float]) -> float:
    listed = list(values)
    return 100.0 * sum(listed) / len(listed)


def _mean_segmented(questions: Iterable[Question], predictions: Mapping[str, str], language: str) -> dict[str, float]:
    """The segmentation-aware F1 in percent, where the language is written without spaces."""
    if not spaceless(language):
        return {}
    return {"f1_segmented": _percent(
        segmented_f1(predictions[item.id], [answer.text for answer in item.answers]) if item.id in predictions else 0.0
        for item in questions)}


def score(questions: Iterable[Question], predictions: Mapping[str, str], rules: Rules, language: str) -> dict[str, Any]:
    """The scores of a set of predictions.

    Args:
        questions: a list of questions, or a `Questions`.
        predictions: question id -> answer text; "" for no answer. A question without prediction scores 0.
        rules: how answers are compared, `QATask.rules`.
        language: of contexts and answers; decides about `f1_segmented` only.

    Returns:
        `exact_match` and `f1` in percent, `total`, `missing` (questions without prediction), `rules` (name), and
        `f1_segmented` in percent where the language is written without spaces. Under rules that know
        questions without answer those of `score_squad2`.

    Raises:
        UserError: no questions, or none that has a prediction; see also `score_each`.
    """
    if rules.no_answer:
        return score_squad2(questions, predictions, language=language, rules=rules)
    listed, missing = _known(questions, predictions)
    scores = score_each(listed, predictions, rules)
    return {"exact_match": _percent(exact for exact, _ in scores.values()),
            "f1": _percent(f1 for _, f1 in scores.values()), "total": len(scores),
            **_mean_segmented(listed, predictions, language), "missing": missing, "rules": rules.name}


def score_squad2(questions: Iterable[Question], predictions: Mapping[str, str],
                 no_answer_probabilities: Mapping[str, float] | None = None, threshold: float = 1.0,
                 language: str = "en", rules: Rules = SQUAD2) -> dict[str, Any]:
    """SQuAD 2.0's figures, all in percent but thresholds and counts.

    The official scorer stops at a question without prediction; here it scores 0 in every figure and is counted.

    Args:
        questions: a list of questions, or a `Questions`. One without answers has no answer, whatever its mark says.
        predictions: question id -> answer text; "" for no answer.
        no_answer_probabilities: question id -> probability that there is no answer. Their order decides between
            equally good thresholds, as it does officially.
        threshold: above this probability a prediction counts as no answer.
        language: of contexts and answers; decides about `f1_segmented` only.
        rules: of a set of one's own that has questions without answer.

    Returns:
        `exact`, `f1`, `total`, `HasAns_*` and `NoAns_*` (each where there are such questions), with probabilities also
        `best_exact`, `best_exact_thresh`, `best_f1`, `best_f1_thresh`; besides `exact_match` (= `exact`),
        `f1_segmented` as in `score`, `missing` and `rules`.

    Raises:
        UserError: no questions, none that has a prediction, or a prediction without its probability.
    """
    listed, missing = _known(questions, predictions)
    raw = score_each(listed, predictions, rules)
    answerable = {item.id: bool(item.answers) for item in listed}
    known = {item.id: item.id in predictions for item in listed}
    probabilities = no_answer_probabilities or {}
    lacking = [one for one in known if known[one] and one not in probabilities]
    if lacking and no_answer_probabilities is not None:
        raise UserError(f"{len(lacking):,} predictions have no no-answer probability (first: id {lacking[0]}); give "
                        "one for each prediction")
    silent = {one for one in known if known[one] and probabilities.get(one, 0.0) > threshold}
    final = {one: (float(not answerable[one]),) * 2 if one in silent else pair for one, pair in raw.items()}
    result: dict[str, Any] = {"exact_match": _percent(pair[0] for pair in final.values())}
    groups = {"": list(final), "HasAns_": [one for one in final if answerable[one]],
              "NoAns_": [one for one in final if not answerable[one]]}
    for prefix, ids in groups.items():
        if ids:
            result |= {f"{prefix}exact": _percent(final[one][0] for one in ids),
                       f"{prefix}f1": _percent(final[one][1] for one in ids), f"{prefix}total": len(ids)}
    if no_answer_probabilities is not None:
        for place, name in enumerate(("exact", "f1")):
            best, at = _best_threshold({one: pair[place] for one, pair in raw.items() if known[one]}, predictions,
                                       probabilities, answerable)
            result |= {f"best_{name}": 100.0 * best / len(listed), f"best_{name}_thresh": at}
    said = {one: "" if one in silent else text for one, text in predictions.items()}
    return {**result, **_mean_segmented(listed, said, language), "missing": missing, "rules": rules.name}


def _best_threshold(scores: Mapping[str, float], predictions: Mapping[str, str], probabilities: Mapping[str, float],
                    answerable: Mapping[str, bool]) -> tuple[float, float]:
    """Highest sum of scores that any threshold reaches, and the lowest threshold that reaches it.

    From "everything is unanswerable" (threshold 0) on, questions are answered one by one in the order of their
    probabilities. Officially the sum counts after each of several equal probabilities, though no threshold parts them;
    a wrong answer to an unanswerable question costs the point that silence had earned, whatever the answer's F1.
    """
    total = best = float(sum(not answerable[one] for one in scores))
    at = 0.0
    for one in sorted(probabilities, key=probabilities.__getitem__):
        if one not in scores:
            continue
        if answerable[one]:
            total += scores[one]
        elif predictions[one]:
            total -= 1.0
        if total > best:
            best, at = total, probabilities[one]
    return best, at
