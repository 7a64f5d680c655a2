"""Two embeddings over one body, records of question answering heads, and the head that was never trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapt.artefacts.assemble import swap, swap_side_by_side
from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.evaluate import EvaluationCell, in_turn
from tasks.heads.model import TaskModel, task_model
from tasks.qa.data import Questions
from tasks.qa.family import answer
from tasks.qa.features import Windows, WindowSettings, encode_questions
from tasks.qa.model import UNTRAINED, qa_record, untrained

from .qa_tools import body_for, embedding_for, question, tokenizer

SMALL = WindowSettings(max_length=28, stride=6, max_question=8)
LONG = "the red river runs to the sea near the old bridge and Mara sold seven grey horses in 1821"
QUESTIONS = [question(LONG, "Mara", asked="who sold it?", name="a"), question("the sea", "sea", asked="the mill?", name="b"),
             question(LONG, "1821", asked="the red river?", name="c")]
RUSSIAN = [replace(item, question=asked) for item, asked in zip(QUESTIONS, ("кто продал?", "река", "у моста?"), strict=True)]
HEADS = ("span", "joint_span")


def states(model: TaskModel, windows: Windows) -> Tensor:
    """The states that the heads read, at every column of all windows."""
    with torch.no_grad():
        return model.encoder(windows.batch(torch.arange(len(windows)).numpy())[0])


def mixed(model: TaskModel, contexts: Embedding, questions: Embedding) -> Windows:
    """Puts the pair into the model and makes its windows."""
    swap_side_by_side(model, contexts, questions)
    return encode_questions(contexts.tokenizer, RUSSIAN, SMALL, questions.tokenizer)


@pytest.fixture(params=HEADS)
def body(request: pytest.FixtureRequest) -> Body:
    return body_for(request.param)


# --- two embeddings -----------------------------------------------------------------------------------------------------


def test_a_language_paired_with_itself_answers_as_alone(body: Body) -> None:
    embedding = embedding_for(body)
    model = task_model(body, embedding)
    alone, _ = answer(model, "squad", tokenizer(), QUESTIONS, SMALL)
    swap_side_by_side(model, embedding, embedding)
    paired, _ = answer(model, "squad", tokenizer(), QUESTIONS, SMALL, question_tokenizer=tokenizer())
    assert paired == alone  # bit for bit: offsets, scores, probabilities
    assert all(prediction.spans for prediction in alone.values())


def test_swapping_back_restores_the_model_bit_for_bit(body: Body) -> None:
    contexts, questions = embedding_for(body), embedding_for(body, "ru", 1)
    model = task_model(body, contexts)
    windows = encode_questions(tokenizer(), QUESTIONS, SMALL)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen, answers = states(model, windows), answer(model, "squad", tokenizer(), QUESTIONS, SMALL)[0]
    swap_side_by_side(model, contexts, questions)
    assert model.encoder.embed_tokens.weight.size(0) == model.lm_head.bias.size(0) == len(tokenizer()) + len(tokenizer("ru"))
    swap_side_by_side(model, questions, contexts)
    swap(model, contexts)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert torch.equal(seen, states(model, windows))
    assert answer(model, "squad", tokenizer(), QUESTIONS, SMALL)[0] == answers


def test_a_pair_keeps_what_is_trained_as_swap_does(body: Body) -> None:
    contexts = embedding_for(body)
    model = task_model(body, contexts)
    trained = [parameter.requires_grad for parameter in model.parameters()]
    swap_side_by_side(model, contexts, embedding_for(body, "ru", 1))
    swap(model, contexts)
    assert [parameter.requires_grad for parameter in model.parameters()] == trained


@pytest.mark.parametrize(("side", "counts"), [(0, False), (1, True)])
def test_questions_are_read_with_rows_of_the_second_embedding(body: Body, side: int, counts: bool) -> None:
    """A question token's row in the second table counts; the row of the same number in the first does not."""
    pair = [embedding_for(body), embedding_for(body, "ru", 1)]
    item = question("the sea", asked="река")
    number = max(tokenizer("ru").encode(item.question))
    assert 3 < number < len(tokenizer("en")) and number not in tokenizer("en").encode(item.context)
    windows = encode_questions(tokenizer("en"), [item], SMALL, tokenizer("ru"))
    model = task_model(body, pair[0])
    swap_side_by_side(model, *pair)
    before = states(model, windows)
    weight = pair[side].weight.clone()
    weight[number] *= -1
    pair[side] = replace(pair[side], weight=weight)
    swap_side_by_side(model, *pair)
    assert torch.equal(before, states(model, windows)) is not counts


@pytest.mark.parametrize(("side", "special", "counts"), [(0, 0, False), (1, 0, True), (0, 2, True), (1, 2, True)])
def test_each_side_brings_its_own_specials(side: int, special: int, counts: bool) -> None:
    """`<s>` is the question language's; both languages' `</s>` are used."""
    body = body_for("span")
    pair = [embedding_for(body), embedding_for(body, "ru", 1)]
    model = task_model(body, pair[0])
    windows = mixed(model, *pair)
    before = states(model, windows)
    weight = pair[side].weight.clone()
    weight[special] *= -1
    pair[side] = replace(pair[side], weight=weight)
    mixed(model, *pair)
    assert torch.equal(before, states(model, windows)) is not counts


def test_embeddings_with_tensors_of_the_body_are_refused_before_anything_changes(body: Body) -> None:
    plain, other = embedding_for(body), embedding_for(body, "ru", 1)
    extra = replace(other, extras={"encoder.embed_norm.weight": torch.zeros(16)})
    model = task_model(body, plain)
    table = model.encoder.embed_tokens
    for pair in ((plain, extra), (extra, plain)):
        with pytest.raises(UserError, match=r"bring tensors of the body of their own \(encoder.embed_norm.weight\)"):
            swap_side_by_side(model, *pair)
    assert model.encoder.embed_tokens is table


def test_a_pair_gives_back_what_an_earlier_embeddings_extras_replaced(body: Body) -> None:
    plain, other = embedding_for(body), embedding_for(body, "ru", 1)
    model = task_model(body, plain)
    windows = mixed(model, plain, other)
    before = states(model, windows)
    swap(model, replace(other, extras={"encoder.embed_norm.weight": torch.full((16,), 3.0)}))
    swap_side_by_side(model, plain, other)
    assert torch.equal(before, states(model, windows))


def test_both_embeddings_must_fit_the_body(body: Body, tmp_path: Path) -> None:
    fits, stranger = embedding_for(body), replace(embedding_for(body, "ru", 1), lineage="1" * 64)
    for name, embedding in (("fits", fits), ("stranger", stranger)):
        embedding.save(tmp_path / name)

    def turns(*names: str) -> list[Any]:
        cell = EvaluationCell(("en", "ru"), tuple(tmp_path / name for name in names), Questions([]))
        return list(in_turn(untrained(body), [cell], torch.device("cpu"), "fp32"))

    assert len(turns("fits", "fits")) == 1
    for pair in (("fits", "stranger"), ("stranger", "fits")):
        with pytest.raises(UserError, match=r"the embedding \(ru\) was learned against the body of lineage 111111111111"):
            turns(*pair)


# --- records ------------------------------------------------------------------------------------------------------------


def test_the_record_of_a_body_that_answers_questions(body: Body) -> None:
    assert qa_record(body) is body.task


def test_a_body_without_a_head_for_questions_is_refused() -> None:
    body = body_for("span")
    with pytest.raises(UserError, match=r"no task head; train one first \(relexify finetune --task squad …\), or .*--untrained"):
        qa_record(replace(body, task=None))
    with pytest.raises(UserError, match=r"the task body does 'xnli', which answers no questions; finetune a body on squad"):
        qa_record(replace(body, task={"name": "xnli", "head": "classification"}))


# --- a head that was never trained --------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_an_untrained_head_answers(head: str) -> None:
    body = untrained(replace(body_for("span"), task=None), head=head)
    record = qa_record(body)
    assert (record["name"], record["head"]) == (UNTRAINED, head)
    model = task_model(body, embedding_for(body))
    predictions, _ = answer(model, record["name"], tokenizer(), QUESTIONS, SMALL)
    assert all(prediction.best in item.context for item, prediction in zip(QUESTIONS, predictions.values(), strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_an_untrained_head_depends_on_its_seed_alone(head: str) -> None:
    body = body_for("span")
    torch.manual_seed(5)
    one = untrained(body, head=head)
    torch.rand(7)
    state = torch.get_rng_state()
    two = untrained(body, head=head)
    assert torch.equal(state, torch.get_rng_state())  # and it disturbs no one else's draws
    assert one.fingerprint == two.fingerprint != untrained(body, 2, head).fingerprint


def test_an_untrained_head_takes_the_place_of_the_trained_one_and_leaves_the_body() -> None:
    body = body_for("joint_span")
    bare = untrained(body)
    assert {name for name in bare.tensors if name.startswith("heads.")} == {
        f"heads.{UNTRAINED}.out_proj.weight", f"heads.{UNTRAINED}.out_proj.bias"}
    assert all(tensor is bare.tensors[name] for name, tensor in body.tensors.items() if not name.startswith("heads."))
    assert bare.lineage == body.lineage
    assert body.task is not None and body.task["name"] == "squad"


def test_an_unknown_head_is_named() -> None:
    with pytest.raises(UserError, match=r"unknown head 'joint', did you mean 'joint_span'\?"):
        untrained(body_for("span"), head="joint")


def test_an_untrained_head_survives_saving(tmp_path: Path) -> None:
    body = untrained(body_for("span"))
    body.save(tmp_path / "body")
    again = Body.load(tmp_path / "body")
    assert again.fingerprint == body.fingerprint and qa_record(again) == body.task
