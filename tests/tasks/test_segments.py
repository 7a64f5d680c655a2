"""Bodies that tell the two texts of a pair apart: one separator, and a vector of its own for the second text."""

from __future__ import annotations

import torch

from pretrain.base.records import Record
from pretrain.encoder import Encoder, EncoderConfig
from tasks.encoding import encode_examples, segments_of, separators_of
from tasks.heads.model import TaskModel
from tasks.qa.data import Answer, Question
from tasks.qa.features import WindowSettings, encode_questions

from .qa.qa_tools import tokenizer

ONE = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32)
TWO = EncoderConfig(layers=1, width=16, heads=2, ffn=32, embedding_width=16, max_positions=32, segments=2)


class Pair:
    """An example as `encode_examples` reads it."""

    def __init__(self, text_a: str, text_b: str | None):
        self.text_a, self.text_b = text_a, text_b


def test_the_record_of_a_body_without_segments_is_as_it_was():
    assert "segments" not in ONE.to_dict() and TWO.to_dict()["segments"] == 2
    for shape in (ONE, TWO):
        assert EncoderConfig.from_record(Record(shape.to_dict(), "here")) == shape
    assert not any("segments" in name for name in Encoder(ONE, 9).state_dict())


def test_a_second_text_begins_behind_the_first_end():
    tokens = torch.tensor([[0, 7, 8, 2, 9, 2], [0, 7, 2, 1, 1, 1]])
    segments = segments_of(tokens, TWO)
    assert segments is not None and segments.tolist()[0] == [0, 0, 0, 0, 1, 1] and segments.tolist()[1][:3] == [0, 0, 0]
    assert segments_of(tokens, ONE) is None


def test_pairs_have_berts_form_where_there_are_segments():
    pieces = tokenizer()
    examples = [Pair("the red river", "a sea"), Pair("the red river", None)]
    double, single = (encode_examples(pieces, examples, 32, separators_of(config)) for config in (ONE, TWO))
    assert [ids.tolist().count(2) for ids in double.tokens] == [3, 1]
    assert [ids.tolist().count(2) for ids in single.tokens] == [2, 1]
    cut = encode_examples(pieces, [Pair("the red river " * 9, "a sea " * 9)], 12, separators_of(TWO))
    assert len(cut.tokens[0]) == 12 and cut.truncated == 1


def test_the_second_segments_vector_changes_the_second_text_alone():
    torch.manual_seed(0)
    model = TaskModel(TWO, 12)
    model.add_head("t", "tagging", 3)
    model.eval()
    alone, pair = torch.tensor([[0, 5, 6, 2]]), torch.tensor([[0, 5, 2, 6, 2]])
    before = model(alone, task="t"), model(pair, task="t")
    with torch.no_grad():
        model.encoder.embed_segments.weight[1] += 1.0 * torch.arange(16)
    after = model(alone, task="t"), model(pair, task="t")
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1], rtol=1e-3, atol=1e-3)


def test_questions_have_one_separator_and_keep_their_targets():
    pieces = tokenizer()
    context = "the red river goes to a sea"
    question = Question("1", "what is red", context, (Answer("river", 8),))
    for config in (ONE, TWO):
        windows = encode_questions(pieces, [question], WindowSettings.fit(32, separators=separators_of(config)), targets=True)
        first, last = windows.targets[0].tolist()
        found = windows.contexts[0].slice(*(column - int(windows.context_at[0]) for column in (first, last)))
        assert "river" in found and windows.tokens[0].tolist().count(2) == 1 + separators_of(config)
    assert "separators" not in WindowSettings.fit(32).record()
