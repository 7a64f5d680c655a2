"""Span heads: what may be chosen, losses against formulas written by hand, searches against brute force."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pretrain.encoder import EncoderConfig
from tasks.heads.model import TaskModel
from tasks.heads.span import JointSpanHead, SpanHead, SpanOutput, SpanSearch, best_pairs, masked_log_softmax

Head = SpanHead | JointSpanHead
WIDTH = 12
INF = math.inf
LAYOUTS = ((3, 6), (2, 9), (4, 1))
"""Question and context tokens of the windows of `batch`: of different lengths, so all but the longest are padded."""
KINDS = [SpanHead, JointSpanHead]


def make(kind: type[Head], seed: int = 0) -> Any:
    """A head whose scores differ clearly from token to token."""
    torch.manual_seed(seed)
    head = JointSpanHead(WIDTH, 0, 0.0, hidden=7) if kind is JointSpanHead else kind(WIDTH, 0, 0.0)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=0.6)
    return head.eval()


def batch(layouts: tuple[tuple[int, int], ...] = LAYOUTS, limit: int = 4, count: int = 200) -> SpanSearch:
    """What may be chosen in windows `<s> q </s> </s> context </s>` with so many tokens of question and context."""
    time = max(4 + question + context for question, context in layouts)
    starts = torch.zeros(len(layouts), time, dtype=torch.bool)
    for row, (question, context) in enumerate(layouts):
        starts[row, question + 3:question + 3 + context] = True
    allowed = starts.clone()
    allowed[:, 0] = True
    return SpanSearch(allowed, starts, limit, count)


def states_for(search: SpanSearch, seed: int = 1) -> Tensor:
    return torch.randn(*search.allowed.shape, WIDTH, generator=torch.Generator().manual_seed(seed))


def context_of(search: SpanSearch, row: int) -> list[int]:
    return [column for column in range(1, search.allowed.size(1)) if search.allowed[row, column]]


def found(output: SpanOutput, row: int) -> list[tuple[float, int, int]]:
    """Score, first and last of the candidates that exist."""
    assert output.candidates is not None
    one = output.candidates
    rows = zip(one.score[row].tolist(), one.first[row].tolist(), one.last[row].tolist(), strict=True)
    return [candidate for candidate in rows if candidate[0] > -INF]


def assert_same(got: list[tuple[float, int, int]], expected: dict[tuple[int, int], float]) -> None:
    """The same spans with the same scores, and the best first."""
    assert {(first, last): pytest.approx(score, rel=1e-5, abs=1e-5) for score, first, last in got} == expected
    assert len(got) == len(expected)
    scores = [score for score, _, _ in got]
    assert scores == sorted(scores, reverse=True)


def log_softmax_over(scores: dict[int, float]) -> dict[int, float]:
    """Log probabilities of the columns that compete, from their logits: nothing else takes part."""
    total = math.log(sum(math.exp(value) for value in scores.values()))
    return {column: value - total for column, value in scores.items()}


# --- the search over pairs ----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(time=st.integers(1, 9), limit=st.integers(1, 14), count=st.integers(1, 40), data=st.data())
def test_best_pairs_are_those_of_brute_force(time: int, limit: int, count: int, data: st.DataObject) -> None:
    # few different values, so that ties are common; -inf marks forbidden columns
    values = st.lists(st.sampled_from([-INF, -4.0, -2.5, -1.0, -0.5]), min_size=time, max_size=time)
    start, end = data.draw(values), data.draw(values)
    every = {(i, j): start[i] + end[j] for i in range(time) for j in range(i, min(time, i + limit))}
    score, first, last = best_pairs(torch.tensor([start]), torch.tensor([end]), limit, count)
    assert score.shape == first.shape == last.shape
    possible = sorted((value for value in every.values() if value > -INF), reverse=True)[:count]
    assert [value for value in score[0].tolist() if value > -INF] == possible
    spans = [(i, j) for value, i, j in zip(score[0].tolist(), first[0].tolist(), last[0].tolist(), strict=True)
             if value > -INF]
    assert len(set(spans)) == len(spans)
    assert [every[span] for span in spans] == possible


def test_best_pairs_finds_more_ends_of_one_start_than_starts() -> None:
    """The five best spans all start at one token: the best starts and the best ends alone would not give them."""
    start = torch.tensor([[-0.1, -90.0, -90.0, -90.0, -90.0]])
    _, first, last = best_pairs(start, torch.tensor([[-5.0, -4.0, -3.0, -2.0, -1.0]]), 30, 5)
    assert first.tolist() == [[0] * 5] and last.tolist() == [[4, 3, 2, 1, 0]]


def test_best_pairs_without_any_pair_has_no_nan() -> None:
    nothing = torch.full((2, 3), -INF)
    score, _, _ = best_pairs(nothing, nothing, 30, 20)
    assert score.eq(-INF).all()


# --- what may be chosen -------------------------------------------------------------------------------------------------


def test_log_softmax_gives_forbidden_columns_nothing() -> None:
    logits = torch.tensor([[1.0, 90.0, 2.0, 90.0]], dtype=torch.bfloat16)
    result = masked_log_softmax(logits, torch.tensor([[True, False, True, False]]))
    assert result.dtype == torch.float32
    assert result[0, [1, 3]].tolist() == [-INF, -INF]
    assert result[0, [0, 2]].exp().sum().item() == pytest.approx(1)
    assert (result[0, 2] - result[0, 0]).item() == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_only_context_is_ever_chosen(kind: type[Head]) -> None:
    search = batch()
    states = states_for(search)
    states[~search.allowed] *= 50  # questions, separators and padding would win by far
    output = make(kind)(states, search=search)
    for row, (_, count) in enumerate(LAYOUTS):
        context = context_of(search, row)
        spans = found(output, row)
        assert len(spans) == sum(min(4, count - place) for place in range(count))
        assert all(first in context and last in context and first <= last < first + 4 for _, first, last in spans)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_starts_only_where_the_window_shows_most_context(kind: type[Head]) -> None:
    search = batch(((3, 8),))
    search.starts[0, :9] = False
    spans = found(make(kind)(states_for(search), search=search), 0)
    assert {first for _, first, _ in spans} == {9, 10, 11, 12, 13}
    assert {last for _, _, last in spans} == {9, 10, 11, 12, 13}


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_outside_the_context_takes_no_probability(kind: type[Head]) -> None:
    """Other states in question and padding change neither losses nor candidates."""
    search = batch()
    states = states_for(search)
    other = torch.where(search.allowed[..., None], states, states_for(search, 2) * 20)
    targets = torch.tensor([[7, 8], [0, 0], [7, 7]])
    head = make(kind)
    one, two = (head(given, targets, search=search) for given in (states, other))
    torch.testing.assert_close(one.loss, two.loss, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one.candidates.score, two.candidates.score, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one.candidates.null, two.candidates.null, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_outside_the_context_gets_no_gradient(kind: type[Head]) -> None:
    search = batch()
    states = states_for(search).requires_grad_()
    make(kind)(states, torch.tensor([[7, 8], [0, 0], [7, 7]]), search.allowed).loss.sum().backward()
    assert states.grad is not None
    moved = states.grad.abs().sum(-1) > 0
    assert not moved[~search.allowed].any()
    assert moved[search.allowed].all()


# --- independent start and end ------------------------------------------------------------------------------------------


def span_logits(head: SpanHead, states: Tensor, search: SpanSearch, row: int, side: int) -> dict[int, float]:
    """Start (0) or end (1) log probabilities of one window by hand."""
    weight, bias = head.out_proj.weight[side].detach(), head.out_proj.bias[side].detach()
    return log_softmax_over({column: float(states[row, column] @ weight + bias) for column in [0, *context_of(search, row)]})


def test_span_loss_is_the_mean_cross_entropy_of_both_ends() -> None:
    head, search = make(SpanHead), batch()
    states = states_for(search)
    targets = [(7, 10), (5, 5), (7, 7)]
    loss = head(states, torch.tensor(targets), search.allowed).loss
    for row, (first, last) in enumerate(targets):
        expected = -(span_logits(head, states, search, row, 0)[first] + span_logits(head, states, search, row, 1)[last]) / 2
        assert loss[row].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_window_without_the_answer_is_trained_towards_its_first_column() -> None:
    head, search = make(SpanHead), batch()
    states = states_for(search)
    loss = head(states, torch.zeros(3, 2, dtype=torch.int64), search.allowed).loss
    for row in range(3):
        expected = -(span_logits(head, states, search, row, 0)[0] + span_logits(head, states, search, row, 1)[0]) / 2
        assert loss[row].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_span_head_scores_every_pair_by_both_log_probabilities() -> None:
    head, search = make(SpanHead), batch()
    states = states_for(search)
    output = head(states, search=search)
    for row in range(3):
        start, end = (span_logits(head, states, search, row, side) for side in (0, 1))
        context = context_of(search, row)
        assert_same(found(output, row), {(i, j): start[i] + end[j] for i in context for j in context if i <= j < i + 4})
        assert output.candidates.null[row].item() == pytest.approx(start[0] + end[0], rel=1e-5, abs=1e-5)


def test_no_answer_and_answers_of_the_span_head_share_one_probability() -> None:
    """All starts with all ends, `<s>` included, are the whole of it: a sure null leaves nothing for spans."""
    head, search = make(SpanHead), batch(((2, 5),))
    states = states_for(search)
    states[0, 0] = 30 * (head.out_proj.weight[0] + head.out_proj.weight[1])
    output = head(states, search=search)
    assert output.candidates.null[0].item() == pytest.approx(0, abs=1e-3)
    assert max(score for score, _, _ in found(output, 0)) < -10


# --- joint start and end ------------------------------------------------------------------------------------------------


def joint_start(head: JointSpanHead, states: Tensor, search: SpanSearch, row: int) -> dict[int, float]:
    return log_softmax_over({column: float(head.start(states[row, column])) for column in context_of(search, row)})


def joint_end(head: JointSpanHead, states: Tensor, search: SpanSearch, row: int, start: int) -> dict[int, float]:
    """Log probabilities of the end given a start: one dense layer on [token; start], gelu, one number."""
    weight = torch.cat([head.end_token.weight, head.end_start.weight], 1)
    scores = {}
    for column in context_of(search, row):
        hidden = F.gelu(weight @ torch.cat([states[row, column], states[row, start]]) + head.end_token.bias)
        scores[column] = float(head.end(hidden))
    return log_softmax_over(scores)


def joint_null(head: JointSpanHead, states: Tensor, search: SpanSearch, row: int) -> float:
    """Log odds of "no answer": `<s>` beside the mean context state under the start distribution."""
    mean = sum((math.exp(value) * states[row, column] for column, value in joint_start(head, states, search, row).items()),
               torch.zeros(WIDTH))
    return float(head.answer(F.gelu(head.answer_dense(torch.cat([states[row, 0], mean])))))


@torch.no_grad()
def test_joint_loss_by_hand() -> None:
    """The end is learned given the true start; without an answer the classifier alone learns, with weight 0.5."""
    head, search = make(JointSpanHead), batch()
    states = states_for(search)
    targets = [(7, 10), (0, 0), (7, 7)]
    loss = head(states, torch.tensor(targets), search.allowed).loss
    for row, (first, last) in enumerate(targets):
        odds = joint_null(head, states, search, row)
        if first:
            span = -joint_start(head, states, search, row)[first] - joint_end(head, states, search, row, first)[last]
            expected = span / 2 + 0.5 * math.log1p(math.exp(odds))
        else:
            expected = 0.5 * math.log1p(math.exp(-odds))
        assert loss[row].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_windows_without_the_answer_teach_nothing_about_spans() -> None:
    head, search = make(JointSpanHead), batch()
    head(states_for(search), torch.zeros(3, 2, dtype=torch.int64), search.allowed).loss.sum().backward()
    assert all(parameter.grad is None or not parameter.grad.any()
               for part in (head.end_token, head.end_start, head.end) for parameter in part.parameters())
    assert head.answer.weight.grad.any()


@torch.no_grad()
@pytest.mark.parametrize("beam", [20, 13])
def test_joint_search_with_a_beam_over_all_starts_is_brute_force(beam: int) -> None:
    head, search = make(JointSpanHead), batch()
    head.beam = beam
    assert beam >= max(count for _, count in LAYOUTS)
    states = states_for(search)
    output = head(states, search=search)
    for row in range(3):
        odds = joint_null(head, states, search, row)
        assert output.candidates.null[row].item() == pytest.approx(odds, rel=1e-5, abs=1e-5)
        expected = {}
        for first, start in joint_start(head, states, search, row).items():
            end = joint_end(head, states, search, row, first)
            expected.update({(first, last): start + value - math.log1p(math.exp(odds))
                             for last, value in end.items() if first <= last < first + 4})
        assert_same(found(output, row), expected)


@torch.no_grad()
def test_a_narrow_beam_keeps_the_best_starts() -> None:
    head, search = make(JointSpanHead), batch()
    head.beam = 2
    states = states_for(search)
    output = head(states, search=search)
    start = joint_start(head, states, search, 1)
    assert {first for _, first, _ in found(output, 1)} == set(sorted(start, key=lambda column: -start[column])[:2])


@torch.no_grad()
def test_the_end_of_an_answer_depends_on_its_start() -> None:
    """What the joint head is for: two starts may want different ends, which independent ends cannot."""
    head, search = make(JointSpanHead), batch(((2, 6),), limit=30)
    states = states_for(search)
    ends = [joint_end(head, states, search, 0, start) for start in (5, 6)]
    assert any(abs(ends[0][column] - ends[1][column]) > 0.05 for column in ends[0])


# --- batches, precision, windows without context ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["span", "joint_span"])
def test_a_longer_companion_changes_no_window(kind: str) -> None:
    config = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=40)
    torch.manual_seed(4)
    model = TaskModel(config, 30)
    model.add_head("squad", kind, 0)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.normal_(std=0.6)
    model.eval()
    alone = torch.tensor([[0, 5, 6, 2, 2, 7, 8, 9, 10, 2]])
    short, both = batch(((2, 4),), count=10), batch(((2, 4), (4, 15)), count=10)
    together = F.pad(alone, (0, 13), value=1).repeat(2, 1)
    together[1] = torch.tensor([0, 9, 9, 5, 5, 2, 2, *range(4, 19), 2])
    one: Any = model.spans(alone, "squad", full=True, targets=torch.tensor([[6, 7]]), search=short)
    two: Any = model.spans(together, "squad", targets=torch.tensor([[6, 7], [0, 0]]), search=both)
    torch.testing.assert_close(one.loss[0], two.loss[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one.candidates.null[0], two.candidates.null[0], rtol=1e-5, atol=1e-5)
    assert len(found(one, 0)) == 10
    assert_same(found(two, 0), {(first, last): score for score, first, last in found(one, 0)})


@pytest.mark.parametrize("kind", ["span", "joint_span"])
def test_bf16_gives_finite_fp32_outputs_near_those_of_fp32(kind: str) -> None:
    config = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=16, max_positions=40)
    outputs: list[Any] = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(4)
        model = TaskModel(config, 30, precision=precision)
        model.add_head("squad", kind, 0)
        model.eval()
        tokens = torch.tensor([[0, 5, 2, 2, 7, 8, 9, 2], [0, 5, 2, 2, 7, 2, 1, 1]])
        outputs.append(model.spans(tokens, "squad", targets=torch.tensor([[4, 5], [0, 0]]), search=batch(((1, 3), (1, 1)))))
    fp32, bf16 = outputs
    assert bf16.loss.dtype == bf16.candidates.score.dtype == bf16.candidates.null.dtype == torch.float32
    assert torch.isfinite(bf16.loss).all() and torch.isfinite(bf16.candidates.null).all()
    assert not bf16.candidates.score.isnan().any()
    assert [len(found(bf16, row)) for row in range(2)] == [6, 1]
    torch.testing.assert_close(bf16.loss, fp32.loss, rtol=1e-3, atol=0.03)
    bf16.loss.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_without_context_gives_no_answer_and_no_nan(kind: type[Head]) -> None:
    search = batch(((3, 0), (3, 4)))
    states = states_for(search).requires_grad_()
    head = make(kind).train()
    output = head(states, torch.zeros(2, 2, dtype=torch.int64), search=search)
    assert torch.isfinite(output.loss).all() and torch.isfinite(output.candidates.null).all()
    assert not output.candidates.score.isnan().any()
    assert found(output, 0) == [] and len(found(output, 1)) == 10
    with torch.autograd.set_detect_anomaly(True):
        output.loss.sum().backward()
    for gradient in (states.grad, *(parameter.grad for parameter in head.parameters())):
        assert gradient is None or torch.isfinite(gradient).all()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_works_in_training_alone(kind: type[Head]) -> None:
    search = batch()
    states, targets = states_for(search), torch.tensor([[7, 8], [5, 9], [7, 7]])
    head = make(kind)
    head.dropout.p = 0.5
    assert torch.equal(head(states, targets, search.allowed).loss, head(states, targets, search.allowed).loss)
    head.train()
    assert not torch.equal(head(states, targets, search.allowed).loss, head(states, targets, search.allowed).loss)
