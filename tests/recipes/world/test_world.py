"""The miniature world: reproducible, asymmetric, with inference labels that a separate model checker agrees with."""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy
import pytest

from adapt.text.dictionary import read_dictionary
from pretrain.base.errors import UserError
from recipes.world import BASE, CODES, LABELS, World, write_world
from recipes.world.__main__ import main
from recipes.world.concepts import CLASSES, DIMENSION, KIND, OPPOSITE, gender
from recipes.world.forms import (
    Both,
    Contrast,
    Entity,
    Event,
    IsA,
    Linked,
    Location,
    Property,
    clauses,
    from_data,
    subject,
    to_data,
)
from recipes.world.tasks import TASKS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world() -> World:
    return World(1)


@pytest.fixture(scope="module")
def pairs(world):
    return world.nli(BASE, 6000, "train")


@pytest.fixture(scope="module")
def counts(world):
    """Concept counts in 200k words of the base language."""
    concept_of = {word: concept for concept, word in world.language(BASE).words.items()}
    words = (w for p in world.paragraphs(BASE, words=200_000) for w in p.replace(".", "").replace(",", "").split())
    return Counter(concept_of[word] for word in words)


def stories(world, code, count, seed=0):
    return list(itertools.islice(world.stories(code, seed), count))


# Reproducibility and independence


def digest(seed_of_hash: str) -> str:
    program = ("import hashlib; from recipes.world import World, CODES; w = World(3)\n"
               "t = '|'.join('|'.join((*w.paragraphs(c, words=2000), *(r.premise + r.hypothesis + r.label"
               " for r in w.nli(c, 60, 'dev')))) for c in CODES)\n"
               "print(hashlib.sha256(t.encode()).hexdigest())")
    environment = {**os.environ, "PYTHONHASHSEED": seed_of_hash, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_same_bytes_whatever_the_hash_seed():
    assert len(one := digest("0")) > 60
    assert one == digest("4242")


def test_text_ignores_the_global_generator(world):
    before = list(world.paragraphs("qac", count=20))
    numpy.random.seed(7)
    assert list(World(1).paragraphs("qac", count=20)) == before


def test_shorter_text_is_a_prefix_of_longer(world):
    assert list(world.paragraphs("qab", count=10)) == list(world.paragraphs("qab", words=2000))[:10]


def test_word_budget_is_met_within_one_paragraph(world):
    sizes = [len(p.split()) for p in world.paragraphs("qae", words=3000)]
    assert sum(sizes) >= 3000 > sum(sizes[:-1])


def test_seeds_give_different_texts(world):
    first, second = (set(world.paragraphs(BASE, count=200, seed=s)) for s in (0, 1))
    assert len(first & second) <= 4


def test_world_seed_changes_words_and_habits(world):
    other = World(2)
    assert other.language(BASE).words != world.language(BASE).words
    assert other.preferences.weight != world.preferences.weight


def test_a_language_does_not_depend_on_which_others_are_built(world):
    assert World(1, ["qaf"]).language("qaf").words == world.language("qaf").words


def test_texts_of_two_languages_are_no_translations(world):
    base, other = ({forms for forms in stories(world, code, 300)} for code in (BASE, "qab"))
    assert len(base & other) <= 6


# Words and scripts


def test_no_word_is_shared_between_languages(world):
    words = [{w.strip(".,") for p in world.paragraphs(code, words=20_000) for w in p.split()} for code in CODES]
    for first, second in itertools.combinations(words, 2):
        assert not first & second


def test_every_letter_of_a_language_is_of_its_own_script(world):
    for code, language in world.languages.items():
        script = language.plan.script.name.upper()
        letters = {c for p in world.paragraphs(code, words=5000) for c in p} - set(" .,")
        assert all(unicodedata.name(letter).startswith(script) for letter in letters), code


def test_text_is_normalised(world):
    assert all(unicodedata.is_normalized("NFKC", p) for code in CODES for p in world.paragraphs(code, count=20))


def test_all_words_and_inflected_forms_of_a_language_differ(world):
    for language in world.languages.values():
        forms = [language.form(c, e) for c in language.words for e in ("", *language.suffixes)]
        assert len(set(forms)) == len(forms)


def test_class_sizes_differ_for_the_large_classes():
    large = ("names", "professions", "animals", "foods", "tools", "garments", "plants", "places")
    sizes = [len(CLASSES[name]) for name in large]
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("name", CLASSES)
def test_frequencies_inside_a_class_are_skewed(counts, name):
    found = sorted((counts[c] for c in CLASSES[name]), reverse=True)
    assert found[-1] > 0
    assert found[0] >= 1.8 * found[-1]
    assert len(set(found)) >= len(found) - max(1, len(found) // 5)  # chance may make a tie


def test_verbs_have_different_tastes(world):
    patients: dict[str, Counter[str]] = {verb: Counter() for verb in ("see", "like", "find", "buy")}
    for forms in stories(world, BASE, 6000):
        for clause in itertools.chain.from_iterable(clauses(f) for f in forms):
            if isinstance(clause, Event) and clause.verb in patients and clause.patient:
                patients[clause.verb][clause.patient.concept] += 1
    shares = [{c: n / sum(found.values()) for c, n in found.items()} for found in patients.values()]
    for first, second in itertools.combinations(shares, 2):
        assert sum(abs(first.get(c, 0) - second.get(c, 0)) for c in first | second) / 2 > 0.2


# Grammar


def orders(world, code, role, other):
    """Over a sample, whether `role` ends before `other` starts."""
    for forms in stories(world, code, 300):
        spans = world.realise_text(forms, code).spans
        for key, (_, end) in spans.items():
            partner = key.removesuffix(role) + other
            if key.endswith(role) and key.split(".")[-1] == role.split(".")[-1] and partner in spans:
                yield end < spans[partner][0]


@pytest.mark.parametrize(("code", "role", "other"), [
    ("qaa", "agent", "verb"), ("qaa", "verb", "patient"), ("qaa", "patient.adjective", "patient.noun"),
    ("qab", "agent", "verb"), ("qab", "verb", "patient"), ("qab", "patient.adjective", "patient.noun"),
    ("qac", "agent", "verb"), ("qac", "verb", "patient"), ("qac", "patient.noun", "patient.adjective"),
    ("qad", "agent", "patient"), ("qad", "patient", "verb"), ("qad", "patient.adjective", "patient.noun"),
    ("qad", "verb", "negation"), ("qae", "verb", "agent"), ("qae", "agent", "patient"),
    ("qae", "patient.noun", "patient.adjective"), ("qaa", "negation", "verb"),
])
def test_word_order(world, code, role, other):
    found = list(orders(world, code, role, other))
    assert len(found) > 15
    assert all(found)


def test_free_order_language_uses_both_orders(world):
    found = list(orders(world, "qaf", "verb", "patient"))
    assert 0.2 < sum(found) / len(found) < 0.8


@pytest.mark.parametrize(("code", "after"), [("qaa", False), ("qad", True)])
def test_adpositions_stand_on_their_side_of_the_noun_phrase(world, code, after):
    sentence = world.realise(Location(Entity("dog"), "garden"), code)
    start, end = sentence.spans["place"]
    rest = (sentence.text[end:] if after else sentence.text[:start]).split()
    assert rest[0 if after else -1] == world.language(code).words["IN"]


def test_case_and_agreement_suffixes(world):
    language = world.language("qaf")
    sentence = world.realise(Event("see", Entity("dog", ("big",)), Entity("mira")), "qaf")
    found = {role: sentence.text[slice(*span)] for role, span in sentence.spans.items()}
    assert found["patient"] == language.words["mira"] + language.suffixes["accusative"]
    assert found["verb"] == language.words["see"] + language.suffixes["animal"]
    assert found["agent.adjective"] == language.words["big"] + language.suffixes["animal"]


@pytest.mark.parametrize("code", CODES)
def test_spans_cut_the_words_of_their_role_out_of_the_text(world, code):
    language = world.language(code)
    for forms in stories(world, code, 100):
        sentence = world.realise_text(forms, code)
        for number, form in enumerate(forms):
            parts = ("first.", "second.") if len(clauses(form)) == 2 else ("",)
            for clause, part in zip(clauses(form), parts, strict=True):
                who, role = subject(clause), "agent" if isinstance(clause, Event) else "subject"
                start, end = sentence.spans[f"{number}.{part}{role}.noun"]
                pronoun = "HE" if gender(who.concept) == "person" else "IT"
                word = pronoun if who.reference == "pronoun" else who.concept
                assert sentence.text[start:end] == language.words[word]


def test_span_text_equals_stream_text(world):
    forms = stories(world, "qad", 50)
    assert [world.realise_text(f, "qad").text for f in forms] == list(world.paragraphs("qad", count=50))


def test_forms_survive_json(world):
    forms = [f for story in stories(world, BASE, 100) for f in story]
    assert {type(f) for f in forms} == {Event, Property, IsA, Location, Contrast, Both, Linked}
    assert [from_data(json.loads(json.dumps(to_data(f)))) for f in forms] == forms


# Stories


def test_stories_have_three_to_seven_sentences(world):
    assert {len(s) for s in stories(world, BASE, 500)} == set(range(3, 8))


def test_a_pronoun_always_follows_its_referent(world):
    for forms in stories(world, BASE, 500):
        previous = None
        for form in forms:
            for clause in clauses(form):
                who = subject(clause)
                if who.reference == "pronoun":
                    assert previous is not None
                    assert previous in (who.concept, KIND[who.concept])
                previous = who.concept


def test_properties_persist_through_a_story(world):
    for forms in stories(world, BASE, 1000):
        known: dict[tuple[str, str], str] = {}
        for clause in itertools.chain.from_iterable(clauses(f) for f in forms):
            if isinstance(clause, Property) and clause.subject.concept in KIND:
                dimension = DIMENSION[clause.adjective]
                if clause.negated and dimension == "colour":
                    assert known.get((clause.subject.concept, dimension)) != clause.adjective
                else:
                    value = OPPOSITE[clause.adjective] if clause.negated else clause.adjective
                    assert known.setdefault((clause.subject.concept, dimension), value) == value


def test_general_truths_are_true(world):
    said = {(c.subject.concept, c.kind) for forms in stories(world, BASE, 2000) for f in forms for c in clauses(f)
            if isinstance(c, IsA) and c.subject.reference == "indefinite"}
    assert len(said) > 50
    assert all(KIND[concept] == kind for concept, kind in said)


# Inference: a checker of its own, which knows the forms but nothing of how pairs are made


class Model:
    """What a premise settles, where one noun is one individual and the values of a dimension exclude each other."""

    def __init__(self, premise):
        self.facts = []
        previous = None
        for form in premise:
            for clause in clauses(form):
                if subject(clause).reference == "pronoun":
                    assert subject(clause).concept == previous  # the referent is the sentence before's subject
                self.facts.append(clause)
            previous = subject(clauses(form)[0]).concept
        properties = [f for f in self.facts if isinstance(f, Property)]
        self.adjectives = [(f.subject.concept, f.adjective, f.negated) for f in properties]
        for event in self.facts:
            if isinstance(event, Event) and not event.negated:
                self.adjectives += [(e.concept, a, False) for e in (event.agent, event.patient) if e
                                    for a in e.adjectives]

    @staticmethod
    def fits(specific: str, general: str) -> bool:
        return specific == general or KIND.get(specific) == general

    def has(self, concept, adjective):
        """True, False or None: whether something that `concept` names is so."""
        found = set()
        for other, value, negated in self.adjectives:
            if self.fits(other, concept) and DIMENSION[value] == DIMENSION[adjective]:
                if value == adjective:
                    found.add(not negated)
                elif not negated:
                    found.add(False)
                elif adjective in OPPOSITE:
                    found.add(True)
        assert len(found) < 2, "the premise contradicts itself"
        return found.pop() if found else None

    def at(self, concept, place):
        found = set()
        for fact in self.facts:
            if isinstance(fact, Location) and self.fits(fact.subject.concept, concept):
                found |= {not fact.negated} if fact.place == place else set() if fact.negated else {False}
            elif (isinstance(fact, Event) and not fact.negated and fact.place and fact.verb not in CLASSES["motion"]
                  and self.fits(fact.agent.concept, concept)):
                found.add(fact.place == place)
        assert len(found) < 2, "the premise contradicts itself"
        return found.pop() if found else None

    def is_a(self, concept, kind):
        found = set()
        for fact in self.facts:
            if isinstance(fact, IsA) and self.fits(fact.subject.concept, concept):
                found |= {not fact.negated} if fact.kind == kind else set() if fact.negated else {False}
        assert len(found) < 2, "the premise contradicts itself"
        return found.pop() if found else None

    def happens(self, claim):
        found = set()
        roles = ("agent", "patient", "recipient")
        for fact in self.facts:
            if not isinstance(fact, Event) or fact.verb != claim.verb:
                continue
            mine, theirs = ([getattr(e, r) for r in roles] for e in (fact, claim))
            if any((m is None) != (t is None) for m, t in zip(mine, theirs, strict=True)):
                continue
            if not all(m is None or self.fits(m.concept, t.concept) for m, t in zip(mine, theirs, strict=True)):
                continue
            slots = ((fact.place, claim.place), (fact.time, claim.time))
            if fact.negated:
                # Denying less detail denies more; what is denied in one place may be so in another.
                if all(f is None or f == c for f, c in slots) and not any(m and m.adjectives for m in mine):
                    found.add(False)
                continue
            if any(f is not None and c is not None and f != c for f, c in slots):
                found.add(False)
                continue
            wanted = [self.has(m.concept, a) for m, t in zip(mine, theirs, strict=True) if t for a in t.adjectives]
            if False in wanted:
                found.add(False)
            elif None not in wanted and all(c is None or f == c for f, c in slots):
                found.add(True)
        assert len(found) < 2, "the premise contradicts itself"
        return found.pop() if found else None

    def label(self, claim):
        if isinstance(claim, Event):
            still = claim.place and claim.verb not in CLASSES["motion"]
            absent = still and self.at(claim.agent.concept, claim.place) is False
            value = False if absent else self.happens(claim)
        elif isinstance(claim, Property):
            value = self.has(claim.subject.concept, claim.adjective)
        elif isinstance(claim, Location):
            value = self.at(claim.subject.concept, claim.place)
        else:
            value = self.is_a(claim.subject.concept, claim.kind)
        return "neutral" if value is None else "entailment" if value != claim.negated else "contradiction"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_label_is_true(seed):
    for record in World(seed, [BASE]).nli(BASE, 6000, "train"):
        found = Model(record.forms.premise).label(record.forms.hypothesis)
        assert found == record.label, (record.kind, record.forms)


def test_labels_are_balanced(pairs):
    assert set(Counter(r.label for r in pairs).values()) == {2000}


def naive_bayes(features, labels, train):
    """Accuracy of a naive Bayes classifier on what comes after the first `train` items."""
    index = {f: i for i, f in enumerate(sorted({f for item in features for f in item}))}
    table = numpy.zeros((len(features), len(index)))
    for row, item in enumerate(features):
        table[row, [index[f] for f in item]] = 1
    y = numpy.array([LABELS.index(label) for label in labels])
    classes = [table[:train][y[:train] == k] for k in range(3)]
    likelihood = numpy.stack([(rows.sum(0) + 1) / (len(rows) + 2) for rows in classes])
    scores = table[train:] @ numpy.log(likelihood).T + (1 - table[train:]) @ numpy.log(1 - likelihood).T
    return float((scores.argmax(1) == y[train:]).mean())


def test_hypothesis_alone_tells_nothing(pairs):
    words = [r.hypothesis.strip(".").split() for r in pairs]
    bigrams = [{*w, *itertools.pairwise(w)} for w in words]
    labels = [r.label for r in pairs]
    assert naive_bayes([{str(f) for f in b} for b in bigrams], labels, 4000) <= 0.40


def test_surface_operations_are_equally_frequent_in_all_labels(pairs):
    operations = {
        "negation": lambda h: h.negated,
        "hypernym": lambda h: subject(h).concept in CLASSES["kinds"],
        "place": lambda h: getattr(h, "place", None),
        "adjective": lambda h: subject(h).adjectives,
    }
    for operation in operations.values():
        of_label = {label: [r.forms.hypothesis for r in pairs if r.label == label] for label in LABELS}
        shares = [numpy.mean([bool(operation(h)) for h in of_label[label]]) for label in LABELS]
        assert max(shares) - min(shares) < 0.05


def test_overlap_alone_does_not_solve_the_task(pairs):
    def features(record):
        premise, hypothesis = (set(t.replace(".", "").split()) for t in (record.premise, record.hypothesis))
        return {f"missing {len(hypothesis - premise)}", f"extra {min(len(premise - hypothesis), 6)}"}

    assert naive_bayes([features(r) for r in pairs], [r.label for r in pairs], 4000) <= 0.65


def test_a_split_is_parallel_in_all_languages(world):
    base = world.nli(BASE, 200, "test")
    for code in CODES[1:]:
        other = world.nli(code, 200, "test")
        assert [r.forms for r in other] == [r.forms for r in base]
        assert not any(r.premise == b.premise for r, b in zip(other, base, strict=True))


def test_held_out_hypotheses_occur_in_no_other_split(world, pairs):
    def clauses_of(records):
        return {json.dumps(to_data(r.forms.hypothesis) | {"negated": None}) for r in records}

    train = clauses_of(pairs)
    dev, test = (clauses_of(world.nli(BASE, 900, split)) for split in ("dev", "test"))
    assert not (train & dev or train & test or dev & test)


def test_record_carries_its_logical_forms(pairs):
    data = json.loads(json.dumps(pairs[5].to_data()))
    assert from_data(data["premise_forms"]) == pairs[5].forms.premise
    assert from_data(data["hypothesis_form"]) == pairs[5].forms.hypothesis


# Files


def small(folder, **options):
    return write_world(folder, ["qad"], 5, **{"words": 500, "train": 30, "dev": 9, "test": 12} | options)


def test_written_files(tmp_path):
    folder = small(tmp_path / "w", words={"qaa": 800, "qad": 300})
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "dictionaries/qaa-qad.tsv", "nli/dev-qaa.tsv", "nli/dev-qad.tsv", "nli/test-qaa.tsv", "nli/test-qad.tsv",
        "nli/train-qaa.tsv", "text/qaa.txt", "text/qad.txt", "world.json"]
    assert 300 <= len((folder / "text/qad.txt").read_text().split()) < 800
    assert json.loads((folder / "world.json").read_text())["languages"]["qad"]["script"] == "Georgian"


def test_a_worlds_dictionary_is_read_back_as_its_translations(tmp_path):
    folder, world = small(tmp_path / "w"), World(5, ["qaa", "qad"])
    one, other = world.language("qaa").words, world.language("qad").words
    pairs = read_dictionary(folder / "dictionaries" / "qaa-qad.tsv")
    assert set(pairs) == set(world.translations("qad")) and len(pairs) > 100
    assert set(pairs) == {(one[concept], other[concept]) for concept in one.keys() & other.keys()}


def test_tsv_layout(tmp_path):
    with open(small(tmp_path / "w") / "nli/dev-qad.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0]) == ["id", "premise", "hypothesis", "label"]
    assert Counter(r["label"] for r in rows) == {"0": 3, "1": 3, "2": 3}


def test_writing_twice_gives_the_same_bytes(tmp_path):
    first, second = small(tmp_path / "a"), small(tmp_path / "b")
    for file in first.rglob("*.*"):
        assert file.read_bytes() == (second / file.relative_to(first)).read_bytes()


def test_existing_output_is_refused(tmp_path):
    small(tmp_path / "w")
    with pytest.raises(UserError, match="already exists"):
        small(tmp_path / "w")


def test_a_world_of_everything_is_replaced_by_the_next(tmp_path):
    everything = {"qa_train": 4, "qa_dev": 4, "tasks": tuple(TASKS), "words": 1500}
    first = small(tmp_path / "w", **everything)
    assert {place.name for place in first.iterdir() if place.is_dir()} == {"text", "nli", "dictionaries", "qa", *TASKS}
    small(tmp_path / "w", overwrite=True)
    assert sorted(place.name for place in (tmp_path / "w").iterdir()) == ["dictionaries", "nli", "text", "world.json"]


def test_unknown_language_names_the_known_ones():
    with pytest.raises(UserError, match=r"qaz.*qaa, qab"):
        World(1, ["qaz"])


def test_negative_size_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"train.*-1"):
        small(tmp_path / "w", train=-1)
    assert not (tmp_path / "w").exists()


def test_command_writes_a_world(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "w"), "--words", "qaa=200,qab=100", "--languages", "qaa", "qab",
                 "--train", "3", "--dev", "3", "--test", "3"]
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
