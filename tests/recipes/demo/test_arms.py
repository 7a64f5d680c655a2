"""The arms in words."""

from __future__ import annotations

import pytest

from recipes.demo.arms import described
from recipes.demo.settings import ARMS


@pytest.mark.parametrize(("arm", "backbone", "updates", "text"), [
    ("standard", "roberta", 1600, "one learning rate; the embedding is never reset"),
    ("standard-x5", "roberta", 1600, "the embedding's learning rate is 5 times the body's; the embedding is never reset"),
    ("forgetting", "roberta", 1600, "the embedding's learning rate is 5 times the body's; the embedding is reset 8 times, every "
                                    "160 updates to the end: after 320 to 1,440 of 1,600"),
    ("standard", "electra", 1300, "one learning rate; the embedding is never reset"),
    ("forgetting", "electra", 1300, "one learning rate; the embedding is reset 3 times, every 260 updates to the end: after 520 "
                                    "to 1,040 of 1,300"),
    ("temporary", "roberta", 2000, "the embedding's learning rate is 5 times the body's; the embedding is reset 5 times, every "
                                   "200 updates: after 400 to 1,200 of 2,000"),
    ("held", "roberta", 2000, "as `temporary`, but the body does not move for 20 updates after each reset"),
    ("scale-2", "roberta", 2000, "as `temporary`, but the embedding's learning rate is 2 times the body's"),
    ("every-400", "roberta", 2000, "as `temporary`, but the embedding is reset 3 times, every 400 updates: after 400 to 1,200 of "
                                   "2,000")])
def test_an_arm_is_described_by_its_recipes_numbers(arm, backbone, updates, text):
    assert described(arm, backbone, updates) == text


def test_no_two_arms_are_described_alike():
    assert len({described(arm, "roberta", 2000) for arm in ARMS}) == len(ARMS)
