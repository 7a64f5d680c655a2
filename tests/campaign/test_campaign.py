"""The campaign of kills: a short form always, the long one with `pytest -m campaign` or `python -m tests.campaign`."""

from __future__ import annotations

import argparse
import random
import sys

import pytest

pytest.importorskip("fairseq")

from tests.campaign.__main__ import campaign, figures, planned, weighed
from tests.campaign.stages import FINISH, lay_out, stages
from tests.campaign.trial import draw, trial

pytestmark = [pytest.mark.cold, pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")]


@pytest.mark.slow
def test_short_form(tmp_path):
    """Around the finish of the adaptation, whose intermediate embeddings a kill once lost; and prepare, anywhere."""
    done = campaign(tmp_path, 6, names=("prepare", "adapt"))
    assert done["all"]["trials"] == done["all"]["identical"] and done["all"]["kills"] >= 6


@pytest.mark.campaign
@pytest.mark.slow
def test_two_hundred_kills_are_identical(tmp_path):
    done = campaign(tmp_path, 200)
    assert done["all"]["trials"] == done["all"]["identical"] and done["all"]["kills"] >= 200


@pytest.mark.slow
def test_a_difference_is_seen(tmp_path):
    """The campaign can fail: what is compared with other bytes, or leaves something, is not identical."""
    lay_out(tmp_path)
    stage = stages(tmp_path)["prepare"]
    other = tmp_path / "other"
    (other / "out").mkdir(parents=True)
    (other / "out" / "dict.txt").write_text("other")
    kill = draw(stage, "rename", random.Random(1), 1, 1.0)
    result = trial(stage, tmp_path / "trial", [kill], other)
    assert result["kills"] == [f"rename/{kill.who}"] and not result["identical"] and "out/dict.txt" in str(result["wrong"])


def test_every_moment_of_every_stage_is_drawn(tmp_path):
    known, names = stages(tmp_path), ("pretrain", "adapt", "finetune")
    cost = {name: {"events": 50, "seconds": 9.0} for name in names}
    drawn = {(stage.name, kills[0].moment) for stage, kills in (planned(number, known, cost, 1, names) for number in range(18))}
    assert drawn == {(name, moment) for name in names for moment in (*FINISH, "event", "time")}


def test_stages_have_weights_and_are_spread():
    assert weighed("pretrain:3,run") == ("pretrain", "pretrain", "run", "pretrain")
    assert weighed("run,adapt") == ("run", "adapt")
    for text in ("pretain", "run:0", "run:x", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            weighed(text)


def test_figures_count_trials_kills_and_identical_ones():
    done = [{"stage": "a", "kills": ["x", "y"], "identical": True}, {"stage": "b", "kills": ["x"], "identical": False}]
    assert figures(done) == {"all": {"trials": 2, "kills": 3, "identical": 1}, "a": {"trials": 1, "kills": 2, "identical": 1},
                             "b": {"trials": 1, "kills": 1, "identical": 0}}
