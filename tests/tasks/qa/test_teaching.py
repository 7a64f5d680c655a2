"""What a teacher says of questions: places in characters, windows put together, and the same on a student's own tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.base.errors import UserError
from tasks.distillation.losses import soft_cross_entropy
from tasks.family import EvaluationOptions
from tasks.heads.model import task_model
from tasks.heads.span import SpanHead
from tasks.qa.data import Questions
from tasks.qa.features import Windows, WindowSettings, encode_questions
from tasks.qa.spans import tokenize
from tasks.qa.teaching import QATeaching, on_tokens, shares_of, window_shares
from tasks.registry import get_task

from .qa_tools import TEXTS, body_for, embedding_for, question, tokenizer

CONTEXT = "Mara built a mill near the old bridge in 1821 and the red river runs to the sea"
SHORT = "Mara built a mill near the sea"
SQUAD: Any = get_task("squad")


def said(items: list[Any], **options: int) -> tuple[list[Any], Windows, Any]:
    """What a body with a drawn head says, its windows, and its model."""
    body = body_for("span")
    embedding = embedding_for(body)
    evaluation = SQUAD.evaluation(body, "body", EvaluationOptions(**options))
    model = task_model(body, embedding)
    outputs = QATeaching(SQUAD).outputs(evaluation, model, embedding, Questions(items, ["x"]), 500, None)
    return outputs, encode_questions(embedding.tokenizer, items, evaluation.windows, targets=True), model


def words() -> Tokenizer:
    """A tokenizer of larger pieces than `qa_tools.tokenizer`."""
    return Tokenizer(train_tokenizer([CONTEXT, *TEXTS["en"]] * 4, 140, character_coverage=1.0), "en")


def columns_of(*rows: Any) -> dict[str, list[Any]]:
    return QATeaching(SQUAD).average([list(rows)], "probabilities", 1.0)


def test_in_one_window_they_are_the_heads_own_shares() -> None:
    (sides,), windows, model = said([question(SHORT, "mill")])
    assert len(windows) == 1
    tokens, full = windows.batch(np.array([0]))
    allowed = windows.search(np.array([0]), 1, 1).allowed
    with torch.inference_mode():
        logits = model.spans(tokens, "squad", full=full, allowed=allowed).logits[0].double().numpy()
    first, count = int(windows.context_at[0]), int(windows.count[0])
    context = windows.contexts[0]
    for (at, odds), line, places in zip(sides, logits, (context.starts, context.ends), strict=True):
        own = softmax(np.concatenate([line[:1], line[first:first + count]]))
        np.testing.assert_allclose(shares_of(odds, 1.0), own, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(at, places)


def test_of_several_windows_each_token_counts_where_most_context_is() -> None:
    item = question(CONTEXT, "old bridge")
    (sides,), windows, model = said([item], max_length=24, stride=4, max_question=6)
    assert len(windows) > 3
    (at, odds), _ = sides
    assert len(at) == len(windows.contexts[0]) and (odds != 0).all()
    for row in (1, len(windows) - 1):
        tokens, full = windows.batch(np.array([row]))
        allowed = windows.search(np.array([row]), 1, 1).allowed
        with torch.inference_mode():
            line = model.spans(tokens, "squad", full=full, allowed=allowed).logits[0, 0].numpy()
        low, high = windows.best[row]
        at = low - int(windows.context_at[row]) + int(windows.offset[row])
        np.testing.assert_allclose(odds[at:at + high - low], (line - line[0])[low:high], rtol=1e-4, atol=1e-5)


def test_a_student_with_the_teachers_tokens_gets_its_shares() -> None:
    items = [question(SHORT, "mill"), question("Mara built a mill", "Mara", name="r")]
    outputs, windows, _ = said(items)
    target = window_shares(windows, np.array([1, 0]), columns_of(*outputs), 1.0)
    assert target.shape == (2, 2, max(windows.sizes))
    torch.testing.assert_close(target.sum(-1), torch.ones(2, 2), rtol=1e-5, atol=1e-6)
    for place, number in enumerate((1, 0)):
        first, context = int(windows.context_at[number]), windows.contexts[number]
        real = np.flatnonzero(context.starts < context.ends)
        for side in (0, 1):
            expected = shares_of(outputs[number][side][1], 1.0)
            for token in np.flatnonzero(context.starts == context.ends):  # its share goes beside it
                beside = real[real > token][:1] if side == 0 else real[real < token][-1:]
                expected[beside + 1 if len(beside) else 0] += expected[token + 1]
                expected[token + 1] = 0
            line = target[place, side].numpy()
            found = np.concatenate([line[:1], line[first:first + len(context)]])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_student_with_other_tokens_gets_the_places_that_its_tokens_cover() -> None:
    """By hand: `the red` in tokens of the student; every character is a start of the teacher's, with shares 1 to 7."""
    student = tokenize(words(), "the red")
    shares = np.arange(1, 8) / 28
    starts = on_tokens(student, np.arange(7), shares, end=False)
    ends = on_tokens(student, np.arange(1, 8), shares, end=True)
    assert starts.sum() == pytest.approx(1) and ends.sum() == pytest.approx(1)
    covered = np.zeros(len(student))
    for token, (first, last) in enumerate(zip(student.starts, student.ends, strict=True)):
        covered[token] = shares[first:last].sum()
    blank = 1 - covered.sum()  # where no token has it: a start there belongs to the next token, an end to the one before
    assert blank < 1e-9 or blank == pytest.approx(shares[3])
    for found in (starts, ends):
        assert (abs(found - covered) < 1e-9).sum() >= len(student) - (blank > 1e-9)
    assert on_tokens(student, np.array([7]), np.array([1.0]), end=False).sum() == 0  # nothing begins behind the text


@pytest.mark.parametrize("answer", ["old bridge", "1821", "Mara"])
def test_a_certain_teacher_is_the_hard_label_in_every_window(answer: str) -> None:
    """Windows without the answer are taught `<s>`, as their targets say; the loss is then the head's own."""
    item = question(CONTEXT, answer)
    settings = WindowSettings.fit(64, 24, 6, 6)
    windows = encode_questions(words(), [item], settings, targets=True)
    teacher = tokenize(tokenizer(), CONTEXT)  # another tokenizer's token for the answer's place
    first, last = teacher.tokens_of(CONTEXT.index(answer), CONTEXT.index(answer) + len(answer)) or (0, 0)
    sides = []
    for places, token in ((teacher.starts, first), (teacher.ends, last)):
        logits = np.full(len(teacher), -60.0)
        logits[token] = 60.0
        sides.append((places.astype(np.int32), logits))
    every = np.arange(len(windows))
    target = window_shares(windows, every, columns_of(tuple(sides)), 1.0)
    own = windows.contexts[0].tokens_of(CONTEXT.index(answer), CONTEXT.index(answer) + len(answer))
    assert own is not None and len(windows) > 2
    whole = [row for row in every if windows.targets[row, 0] > 0]
    apart = [row for row in every if own[1] < windows.offset[row] or own[0] >= windows.offset[row] + windows.count[row]]
    assert whole and apart  # a window that holds a part of the answer is taught that part's place, and `<s>` for the other
    for row in (*whole, *apart):
        assert target[row].argmax(-1).tolist() == windows.targets[row].tolist() and target[row].max(-1).values.min() > 0.99
    torch.manual_seed(1)
    head = SpanHead(8, 0, 0.0)
    allowed = windows.search(every, 1, 1).allowed
    output = head(torch.randn(len(windows), int(windows.sizes.max()), 8), torch.from_numpy(windows.targets), allowed)
    soft = soft_cross_entropy(output.logits, target).sum(-1) / 2
    rows = [*whole, *apart]
    torch.testing.assert_close(soft[rows], output.loss[rows], rtol=1e-4, atol=1e-5)


def test_what_lies_outside_a_window_belongs_to_no_answer() -> None:
    item = question(CONTEXT, "old bridge")
    outputs, _, _ = said([item])
    windows = encode_questions(words(), [item], WindowSettings.fit(64, 24, 6, 6))
    target = window_shares(windows, np.arange(len(windows)), columns_of(*outputs), 1.0)
    torch.testing.assert_close(target.sum(-1), torch.ones(len(windows), 2), rtol=1e-5, atol=1e-6)
    none = shares_of(outputs[0][0][1], 1.0)[0]
    assert (target[:, 0, 0].numpy() >= none - 1e-6).all() and target[:, 0, 0].max() > none + 1e-3
    allowed = windows.search(np.arange(len(windows)), 1, 1).allowed
    assert target[:, 0][~allowed].sum() == 0


def test_teachers_of_different_tokenizers_are_averaged_as_shares() -> None:
    teaching = QATeaching(SQUAD)
    one = [((np.array([0, 4], np.int32), np.array([1.0, 0.0])), (np.array([3, 7], np.int32), np.array([0.5, 0.0])))]
    other = [((np.array([0, 2, 4], np.int32), np.array([0.0, 2.0, -1.0])), (np.array([3, 7], np.int32), np.array([1.5, 0.0])))]
    columns = teaching.average([one, other], "probabilities", 2.0)
    first, second = shares_of(one[0][0][1], 2.0), shares_of(other[0][0][1], 2.0)
    assert columns["start_at"][0].tolist() == [0, 2, 4]
    expected = [(first[0] + second[0]) / 2, (first[1] + second[1]) / 2, second[2] / 2, (first[2] + second[3]) / 2]
    np.testing.assert_allclose(shares_of(columns["start_logits"][0], 2.0), expected, rtol=1e-6)
    with pytest.raises(UserError, match=r"--average logits: the teachers have different tokenizers"):
        teaching.average([one, other], "logits", 1.0)
    same = teaching.average([one, one], "logits", 1.0)
    np.testing.assert_array_equal(same["start_logits"][0], one[0][0][1])


def test_tokens_that_stand_for_a_boundary_alone_take_nothing() -> None:
    context = tokenize(tokenizer(), " the  red ")
    real = context.starts < context.ends
    found = on_tokens(context, np.arange(10), np.full(10, 0.1), end=False)
    assert (found[~real] == 0).all() and 0 < found.sum() <= 1 + 1e-9
