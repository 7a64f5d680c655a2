"""More tasks of the miniature world: true by construction, parallel in all languages, and learned by a tiny body in seconds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.world import BASE, CODES, World, write_world
from recipes.world.concepts import AGENT_CLASSES, CLASS_OF, OPPOSITE, PATIENT_CLASSES
from recipes.world.forms import Both, Clause, Event, Form, Property, clauses
from recipes.world.tasks import TASKS, apart, choices, paraphrases, possible, sentences, tagged
from tasks.evaluate import evaluate
from tasks.learning.finetune import export, plan
from tasks.registry import get_task
from tasks.settings import FinetuneSettings
from tests.training import train_line

OTHER = "qab"
SIZES = {"train": 2000, "dev": 400, "test": 60}


@pytest.fixture(scope="module")
def world() -> World:
    return World(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of two languages with all tasks, a body that knows nothing, and an embedding of each language, drawn at random but
    for one thing: a word and its translation have the same vector."""
    root = tmp_path_factory.mktemp("tasks")
    write_world(root / "world", [OTHER], 1, words=1500, tasks=tuple(TASKS), **SIZES)
    torch.manual_seed(1)
    model = MaskedLM(EncoderConfig(layers=2, width=32, heads=2, ffn=64, embedding_width=32, max_positions=64), 8)
    with torch.no_grad():
        for layer in model.encoder.layers.parameters():
            layer.mul_(4 if layer.ndim > 1 else 1)  # a narrow body learns slowly from N(0, 0.02)
    body = Body.of_model(model, made={"seed": 1})
    body.save(root / "body")
    whole, generator = World(1), torch.Generator().manual_seed(1)
    vectors = {name: torch.randn(32, generator=generator) for name in whole.language(BASE).words}
    for code in (BASE, OTHER):
        words = whole.language(code).words
        tokenizer = Tokenizer(train_tokenizer([*words.values(), ".", ","] * 20, 1200, model_type="bpe"))
        weight = torch.randn(len(tokenizer), 32, generator=generator)
        weight[1] = 0
        for name, word in words.items():
            if len(ids := tokenizer.encode(word)) == 1:
                weight[ids[0]] = vectors[name]
        Embedding(weight, torch.zeros(len(tokenizer)), tokenizer, code, body.lineage, {"seed": 1, "updates": 1}).save(root / code)
    return root


def meaning(forms: tuple[Form, ...]) -> set[Clause]:
    """What a text claims; a property by its opposite is the property denied."""
    found: set[Clause] = set()
    for clause in (one for form in forms for one in clauses(form)):
        if isinstance(clause, Property) and clause.adjective in OPPOSITE and clause.adjective > OPPOSITE[clause.adjective]:
            clause = replace(clause, adjective=OPPOSITE[clause.adjective], negated=not clause.negated)
        found.add(clause)
    return found


def test_every_paraphrase_is_one_and_the_layout_says_nothing(world: World) -> None:
    found = list(islice(paraphrases(world.preferences, "train"), 1200))
    for one in found:
        assert (meaning(one.first) == meaning(one.second)) == one.same and one.first != one.second, one
    assert Counter(one.same for one in found) == {True: 600, False: 600}
    layouts = {same: Counter(one.kind.split(":")[0] for one in found if one.same == same) for same in (True, False)}
    assert all(layouts[same][name] > 100 for same in (True, False) for name in ("one-turned", "two", "two-turned"))
    assert {one.kind.split(":")[1] for one in found} == {"none", "contrary", "negated", "crossed", "replaced"}


def test_one_ending_can_happen_and_the_others_cannot(world: World) -> None:
    found = list(islice(choices(world.preferences, "train"), 800))
    for one in found:
        assert [possible(event) for event in one.endings] == [place == one.right for place in range(4)]
        assert len(set(one.endings)) == 4 and len({event.verb for event in one.endings}) == 1
    assert Counter(one.right for one in found) == dict.fromkeys(range(4), 200)


def test_texts_hold_nothing_that_no_ending_may_be(world: World) -> None:
    """What is called impossible there never happens in a story."""
    for form in islice(sentences(world.preferences, "train"), 1500):
        for clause in clauses(form):
            if isinstance(clause, Event):
                assert CLASS_OF[clause.agent.concept] in (*AGENT_CLASSES[clause.verb], "kinds")
                assert clause.patient is None or CLASS_OF[clause.patient.concept] in (*PATIENT_CLASSES[clause.verb], "kinds")


@pytest.mark.parametrize("code", CODES)
def test_every_word_has_its_part_of_speech(code: str, world: World) -> None:
    language = world.language(code)
    known = set(get_task("udpos").labels)  # type: ignore[attr-defined]
    words = [pair for form in islice(sentences(world.preferences, "dev"), 200) for pair in tagged(form, language)]
    assert {tag for _, tag in words} <= known
    assert all((tag == "PUNCT") == (word in ",.") for word, tag in words)
    tags = dict(words)
    assert tags[language.words["NOT"]] == "PART" and tags[language.words["mira"]] == "PROPN"
    assert ("DET" in tags.values()) == language.grammar.articles and ("ADP" in tags.values()) != language.grammar.cases


def test_splits_share_no_clause(world: World) -> None:
    held = {split: set(islice(apart(world.preferences, split), 300)) for split in ("train", "dev", "test")}
    assert all(len(found) == 300 for found in held.values())
    assert not held["train"] & held["dev"] and not held["dev"] & held["test"] and not held["train"] & held["test"]
    first = {split: {next(iter(clauses(one.first[0]))) for one in islice(paraphrases(world.preferences, split), 300)}
             for split in ("train", "dev")}
    assert all(isinstance(one.first[0], Both) for one in islice(paraphrases(world.preferences, "dev"), 20))
    assert not first["train"] & first["dev"]


def test_files_are_read_by_their_tasks_and_parallel(folder: Path) -> None:
    for name, task in TASKS.items():
        if name == "retrieval":
            pairs = get_task(task).read(folder / "world" / name, "test", OTHER, question_language=BASE)  # type: ignore[call-arg]
            assert len(pairs) == 60 and len(set(pairs.first)) == len(set(pairs.second)) == 60  # type: ignore[attr-defined]
            continue
        sizes = {(split, code): len(get_task(task).read(folder / "world" / name, split, code))
                 for split, code in (("train", BASE), ("dev", BASE), ("dev", OTHER), ("test", OTHER))}
        assert set(sizes.values()) == {SIZES["train"], SIZES["dev"], SIZES["test"]}, name
    with pytest.raises(UserError, match=r"unknown task of the miniature world 'paraphrases', did you mean 'paraphrase'"):
        write_world(folder / "x", words=10, tasks=("paraphrases",))


@pytest.mark.parametrize(("name", "lr", "updates", "chance"), [
    ("paraphrase", 3e-3, 240, 0.5), ("choice", 2e-3, 120, 0.25), ("tagging", 3e-3, 40, 0.3)])
def test_a_tiny_body_learns_it(name: str, lr: float, updates: int, chance: float, folder: Path, tmp_path: Path) -> None:
    """Well above what guessing scores; tags also in the language that it has never seen, whose words have their vectors."""
    pytest.importorskip("fairseq")
    settings = FinetuneSettings(body=str(folder / "body"), embedding=(str(folder / BASE),), data=str(folder / "world" / name),
                                output=str(tmp_path / "out"), task=TASKS[name], updates=updates, validate_every=updates // 4,
                                lr=lr, dropout=0.0, attention_dropout=0.0, cpu=True)
    planned = plan(settings)
    body, _ = export(train_line(planned.stage.words(), tmp_path / "save") / "checkpoint_best.pt", settings, planned)
    dev = (body.task or {})["dev"]
    assert dev["n"] >= SIZES["dev"] and dev["score"] > chance + 0.1 and dev["score"] > dev["baseline"]["score"] + 0.1, dev
    body.save(tmp_path / "body")
    (record,) = evaluate(tmp_path / "body", [folder / OTHER], TASKS[name], folder / "world" / name, "dev", tmp_path / "scores",
                         quiet=True, device="cpu")
    assert record["n"] >= SIZES["dev"] and (name != "tagging" or record["score"] > chance + 0.1), record["score"]


def test_translations_are_found_where_words_have_their_vectors(folder: Path, tmp_path: Path) -> None:
    data = folder / "world" / "retrieval"
    (record,) = evaluate(folder / "body", [folder / BASE, folder / OTHER], "tatoeba", data, "test", tmp_path / "scores",
                         quiet=True, device="cpu", layer=1)
    assert record["score"] > 0.5 > 10 * record["chance"]
    strange = Embedding.load(folder / OTHER)
    noise = torch.randn(strange.weight.shape, generator=torch.Generator().manual_seed(5))
    replace(strange, weight=noise).save(tmp_path / "strange")
    (lost,) = evaluate(folder / "body", [folder / BASE, tmp_path / "strange"], "tatoeba", data, "test", tmp_path / "other",
                       quiet=True, device="cpu", layer=1)
    assert lost["score"] < record["score"] / 2
