"""Questions of the miniature world: one answer each, at its offset, in words that the unlabelled texts hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from recipes.world import BASE, CODES, World, write_world
from recipes.world.__main__ import main
from recipes.world.baselines import RULES, length, measure
from recipes.world.baselines import main as print_baselines
from recipes.world.concepts import CLASS_OF, CLASSES, CONNECTORS, KIND
from recipes.world.forms import Entity, Event, Linked, Location, Property, clauses, from_data
from recipes.world.qa import SENTENCES, fact, told
from recipes.world.reports import KINDS, class_of_answer
from tests.recipes.world.test_world import Model

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world() -> World:
    return World(1)


@pytest.fixture(scope="module")
def records(world):
    return world.qa(BASE, 2100, "train")


@pytest.fixture(scope="module")
def questions(world):
    """The first questions of a language's test split; fewer are a prefix of more."""
    @cache
    def every(code):
        return world.qa(code, 1400, "test")

    return lambda code, count: every(code)[:count]


@pytest.fixture(scope="module")
def guesses(world):
    return measure(world, BASE, 2100)


def gloss(world, code, text):
    """The concepts of the bare words of a text, in order; None for a word with a suffix."""
    concept_of = {word: concept for concept, word in world.language(code).words.items()}
    return [concept_of.get(word) for word in re.findall(r"[^\s.,]+", text)]


# Reproducibility


def test_same_bytes_whatever_the_hash_seed():
    program = ("import hashlib; from recipes.world import World, CODES; w = World(3)\n"
               "t = '|'.join(str(r.to_data()) for c in CODES for r in w.qa(c, 140, 'dev'))\n"
               "print(hashlib.sha256(t.encode()).hexdigest())")
    found = {
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True,
                       env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}).stdout
        for seed in ("0", "4242")
    }
    assert len(found) == 1


def test_fewer_questions_are_a_prefix_of_more(world, records):
    assert world.qa(BASE, 33, "train") == records[:33]


def test_texts_and_pairs_are_what_they_were_before_there_were_questions(tmp_path):
    """The digest of the files that the generator wrote when it had no questions, and no dictionaries."""
    folder = write_world(tmp_path / "w", ["qad", "qaf"], 3, words=2000, train=30, dev=12, test=12)
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*.*") if path.parent.name != "dictionaries"):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    assert whole.hexdigest() == "d58131d94fce9994b6ce02dfc03933590a8f453a5a3bd0a4fb75ae48e5141efa"


def test_questions_leave_texts_and_pairs_alone(tmp_path):
    sizes = {"words": 500, "train": 9, "dev": 6, "test": 6}
    without = write_world(tmp_path / "a", ["qad"], 5, **sizes)
    beside = write_world(tmp_path / "b", ["qad"], 5, **sizes, qa_train=20, qa_dev=10)
    for path in [*without.glob("text/*"), *without.glob("nli/*")]:
        assert path.read_bytes() == (beside / path.relative_to(without)).read_bytes()


# One answer, at its offset


@pytest.mark.parametrize("code", CODES)
def test_answer_stands_at_its_offset(world, questions, code):
    for r in questions(code, 700):
        assert r.answer
        assert r.context[r.start : r.start + len(r.answer)] == r.answer
        before, after = r.context[r.start - 1 : r.start], r.context[r.start + len(r.answer)]
        assert before in ("", " ") and after in " .,"  # whole words


@pytest.mark.parametrize("code", CODES)
def test_answer_is_the_noun_with_its_adjectives_and_nothing_else(world, questions, code):
    language = world.language(code)
    seen = set()
    for r in questions(code, 700):
        words = r.answer.split()
        stem = language.words[r.forms.answer]
        nouns = [w for w in words if w == stem or (language.grammar.cases and w.startswith(stem))]
        assert len(nouns) == 1
        assert language.words["THE"] not in words and language.words["IN"] not in words and language.words["TO"] not in words
        seen.add(len(words))
    assert seen == {1, 2}


def test_case_suffix_is_inside_the_answer(world, questions):
    language = world.language("qaf")
    found = [r for r in questions("qaf", 700) if r.kind == "to whom"]
    assert all(r.answer == language.words[r.forms.answer] + language.suffixes["dative"] for r in found)


def filled(question, kind, concept):
    """The clause that a question becomes with `concept` for an answer."""
    clause = clauses(question)[0]
    if kind in ("where", "when", "profession"):
        return replace(clause, **{{"where": "place", "when": "time", "profession": "kind"}[kind]: concept})
    role = {"who": "agent", "what": "patient", "to whom": "recipient", "which": "subject"}[kind]
    return replace(clause, **{role: Entity(concept)})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exactly_one_answer_is_true(seed):
    """Every concept of the answer's class is tried by the model checker of the inference pairs."""
    for r in World(seed, [BASE]).qa(BASE, 700, "train"):
        model = Model(r.forms.paragraph)
        rivals = [c for c in CLASS_OF if class_of_answer(c) == class_of_answer(r.forms.answer)]
        true = [c for c in rivals if model.label(filled(r.forms.form, r.kind, c)) == "entailment"]
        assert true == [r.forms.answer], (r.kind, r.forms)


def test_only_one_sentence_says_it(records):
    """The answer's span is the only place that could be meant, not merely the only word."""
    for r in records:
        without = tuple(f for n, f in enumerate(r.forms.paragraph) if n != r.forms.sentence)
        if len(clauses(r.forms.paragraph[r.forms.sentence])) == 1 and not any(
            getattr(getattr(c, "agent", None) or c.subject, "reference", "") == "pronoun" for f in without for c in clauses(f)
        ):
            assert Model(without).label(filled(r.forms.form, r.kind, r.forms.answer)) != "entailment"


# What is asked


def test_kinds_are_balanced(records):
    assert set(Counter(r.kind for r in records).values()) == {300}
    assert {r.kind for r in records} == set(KINDS)


def test_answers_are_spread_over_the_paragraph(records):
    for size in range(SENTENCES[0], SENTENCES[1] + 1):
        places = Counter(r.forms.sentence for r in records if len(r.forms.paragraph) == size)
        assert set(places) == set(range(size))
        assert min(places.values()) > 0.6 * sum(places.values()) / size


def test_both_questions_of_a_paragraph_have_one_question_word_and_two_answers(records):
    for first, second in zip(records[::2], records[1::2], strict=True):
        assert first.context == second.context
        assert first.kind == second.kind
        assert class_of_answer(first.forms.answer) == class_of_answer(second.forms.answer)
        assert first.forms.answer != second.forms.answer


def test_question_says_nothing_but_the_asked_sentence_and_the_class(records):
    for r in records:
        source = next(t.clause for t in told(r.forms.paragraph) if r.forms.role.startswith(t.prefix))
        asked = clauses(r.forms.form)[0]
        if isinstance(asked, Event):
            assert asked.verb == source.verb
            assert not any(e.adjectives for e in (asked.agent, asked.patient, asked.recipient) if e)
        elif isinstance(asked, Property):
            assert asked.adjective == source.adjective
        if isinstance(r.forms.form, Linked):
            assert all(not isinstance(f, Linked) or f.connector != r.forms.form.connector for f in r.forms.paragraph)


def test_question_is_a_sentence_of_its_language(world, questions):
    """Verb last in qad, second in qaa; the question word stands where the answer would."""
    for code, place in (("qaa", "middle"), ("qad", "last")):
        for r in questions(code, 350):
            asked = clauses(r.forms.form)[0]
            if isinstance(asked, Event) and asked.patient is not None:
                words = gloss(world, code, r.question)
                assert (words[-1] == asked.verb) == (place == "last")


def test_kind_of_each_question_word(records):
    words = defaultdict(set)
    for r in records:
        asked = clauses(r.forms.form)[0]
        if r.kind == "when":
            assert r.forms.form.connector in CONNECTORS and asked.time is None
            continue
        if isinstance(asked, Event):
            words[r.kind] |= {c for e in (asked.agent, asked.patient, asked.recipient) if e
                              for c in [e.concept] if c in CLASSES["kinds"]} | ({asked.place} & set(CLASSES["kinds"]))
        elif isinstance(asked, Location):
            words[r.kind].add(asked.place)
        else:
            words[r.kind].add(asked.subject.concept if r.kind == "which" else asked.kind)
    assert words["where"] == {"place"}
    assert words["to whom"] == words["profession"] == {"person"}
    assert {"person", "animal"} <= words["who"]
    assert {"animal", "food", "tool"} <= words["what"] & words["which"]


@pytest.fixture(scope="module")
def counts(world):
    """How often each word occurs in 50,000 words of unlabelled text, half of what the demo has, by language."""
    return {code: Counter(w.strip(".,") for p in world.paragraphs(code, words=50_000) for w in p.split()) for code in CODES}


@pytest.mark.parametrize("code", CODES)
def test_question_words_occur_in_the_unlabelled_text(world, counts, code):
    language = world.language(code)
    assert min(counts[code][language.words[name]] for name in (*set(KIND.values()), *CONNECTORS)) >= 40


@pytest.mark.parametrize("code", CODES)
def test_words_of_questions_occur_in_the_unlabelled_text_in_that_form(world, questions, counts, code):
    """With their suffixes too: no form is kept for questions. A rare noun may lack one of its cases in so short a text."""
    asked = Counter(w.strip(".,") for r in questions(code, 1400) for w in r.question.split())
    assert sum(n for w, n in asked.items() if w not in counts[code]) <= 5


def test_hypernyms_as_question_words_take_no_case_that_texts_do_not_give_them(world, questions):
    language = world.language("qaf")
    for r in questions("qaf", 350):
        if r.kind in ("where", "to whom"):
            assert language.words["place" if r.kind == "where" else "person"] in r.question.strip(".").split()


# What may be guessed


def test_rules_that_know_the_class_stay_low(guesses):
    assert set(guesses) == set(RULES)
    for rule in ("first", "last", "random", "frequent", "habit"):
        assert guesses[rule]["all"] <= 40
        assert max(guesses[rule].values()) <= 55


def test_word_overlap_does_not_solve_the_task(guesses):
    assert guesses["window"]["all"] <= 58
    assert guesses["sentence"]["all"] <= 77


def test_every_question_has_a_rival_of_the_class_in_its_paragraph(records):
    for r in records:
        others = {c for t in told(r.forms.paragraph) for c in str(t.clause).split("'") if c in CLASS_OF}
        assert any(c != r.forms.answer and class_of_answer(c) == class_of_answer(r.forms.answer) for c in others)


def test_baselines_command_prints_a_table(capsys):
    assert print_baselines(["--count", "70", "--sentences", "3-4"]) == 0
    out = capsys.readouterr().out
    assert "| sentence |" in out and "fit 64" in out
    assert print_baselines(["--count", "0"]) == 2


# Splits and languages


def test_a_split_is_parallel_in_all_languages(world, questions):
    base = world.qa(BASE, 210, "test")
    for code in CODES[1:]:
        other = questions(code, 210)
        assert [(r.identifier, r.kind, r.forms) for r in other] == [(r.identifier, r.kind, r.forms) for r in base]
        assert not any(r.answer == b.answer for r, b in zip(other, base, strict=True))


def test_held_out_facts_are_asked_for_in_no_other_split(world, records):
    def facts(found):
        return {fact(next(t.clause for t in told(r.forms.paragraph) if r.forms.role.startswith(t.prefix)), r.kind)
                for r in found}

    train, dev, test = facts(records), *(facts(world.qa(BASE, 700, split)) for split in ("dev", "test"))
    assert not (train & dev or train & test or dev & test)


def test_splits_share_no_paragraph(world, records):
    train, dev, test = ({r.context for r in found} for found in
                        (records, world.qa(BASE, 700, "dev"), world.qa(BASE, 700, "test")))
    assert not (train & dev or train & test or dev & test)


def test_sentences_of_a_paragraph(world):
    for low, high in ((3, 3), (4, 7)):
        found = {len(r.forms.paragraph) for r in world.qa(BASE, 400, "train", (low, high))}
        assert found == set(range(low, high + 1))


def test_question_and_paragraph_fit_the_demo(records):
    sizes = sorted(length(r) for r in records)
    assert sizes[int(0.95 * len(sizes))] <= 64


def test_record_carries_its_logical_forms(records):
    data = json.loads(json.dumps(records[5].to_data()))
    assert from_data(data["paragraph_forms"]) == records[5].forms.paragraph
    assert from_data(data["question_form"]) == records[5].forms.form


# Files


def small(folder, **options):
    sizes = {"words": 100, "train": 3, "dev": 3, "test": 3, "qa_train": 21, "qa_dev": 7, "qa_test": 14}
    return write_world(folder, ["qad"], 5, **sizes | options)


def test_written_files(tmp_path):
    folder = small(tmp_path / "w")
    assert sorted(p.name for p in (folder / "qa").iterdir()) == [
        "dev-qaa.json", "dev-qad.json", "test-qaa.json", "test-qad.json", "train-qaa.json"]
    described = json.loads((folder / "world.json").read_text())["qa"]
    assert described == {"train": 21, "dev": 7, "test": 14, "kinds": list(KINDS), "sentences": list(SENTENCES)}


def test_a_split_without_questions_has_no_file(tmp_path):
    assert [p.name for p in (small(tmp_path / "w", qa_train=0, qa_dev=0) / "qa").glob("*-qaa.json")] == ["test-qaa.json"]


def test_layout_of_squad(tmp_path):
    folder = small(tmp_path / "w")
    base, other = (json.loads((folder / f"qa/test-{code}.json").read_text(encoding="utf-8")) for code in ("qaa", "qad"))
    assert base["version"] == "1.1"
    for one, two in zip(base["data"], other["data"], strict=True):
        assert one["title"] == two["title"] in KINDS
        assert [q["id"] for q in one["paragraphs"][0]["qas"]] == [q["id"] for q in two["paragraphs"][0]["qas"]]
        for article in (one, two):
            paragraph = article["paragraphs"][0]
            for question in paragraph["qas"]:
                [answer] = question["answers"]
                assert paragraph["context"][answer["answer_start"] :].startswith(answer["text"])
    identifiers = [q["id"] for a in base["data"] for q in a["paragraphs"][0]["qas"]]
    assert identifiers == [f"qa-test-{number:06d}" for number in range(14)]


def test_files_hold_what_the_world_gives(tmp_path):
    data = json.loads((small(tmp_path / "w") / "qa/dev-qad.json").read_text(encoding="utf-8"))["data"]
    written = [(q["id"], q["question"], a["paragraphs"][0]["context"]) for a in data for q in a["paragraphs"][0]["qas"]]
    assert written == [(r.identifier, r.question, r.context) for r in World(5, ["qaa", "qad"]).qa("qad", 7, "dev")]


def test_command_writes_questions(tmp_path):
    arguments = ["--words", "100", "--languages", "qab", "--train", "3", "--dev", "3", "--test", "3",
                 "--qa-test", "7", "--qa-sentences", "3"]
    assert main(["--output", str(tmp_path / "w"), *arguments]) == 0
    assert len(json.loads((tmp_path / "w/qa/test-qab.json").read_text(encoding="utf-8"))["data"]) == 4


@pytest.mark.parametrize(("options", "message"), [
    ({"qa_train": -1}, r"--qa-train: got -1"), ({"qa_sentences": (2, 5)}, r"sentences.*2-5"), ({"qa_sentences": (6, 5)}, "6-5")])
def test_bad_sizes_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        small(tmp_path / "w", **options)
    assert not (tmp_path / "w").exists()


def test_negative_count_and_unknown_language_are_refused(world):
    with pytest.raises(UserError, match="-3"):
        world.qa(BASE, -3)
    with pytest.raises(UserError, match="qaz"):
        world.qa("qaz", 3)


def test_a_range_that_is_none_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["--output", "w", "--qa-sentences", "four"])
    assert "expected FROM-TO or a number, got 'four'" in capsys.readouterr().err
