"""A real run, killed with -9 in the middle of an adaptation and repeated: byte for byte the scores of a run that was not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.report.build import load as load_report
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load
from tests.killing import ROOT, wait_until_closed
from tests.recipes.workflow.run_world import TRAINED

pytest.importorskip("snakemake")
pytest.importorskip("fairseq")
pytestmark = pytest.mark.slow

RECIPE = TRAINED + """
budgets: {{updates: [20, 60]}}
tasks: {{xnli: {{data: {world}/nli, languages: [qab], finetune: {{updates: 8, validate_every: 4}}}}}}
finally: []
"""


def run_words(folder: Path) -> list[object]:
    return ["run", folder / "small.yaml", "--output", folder / "run", "--cores", 2, "--quiet"]


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "recipes.cli", *map(str, run_words(folder))], cwd=ROOT,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    from recipes.world import write_world

    folder = tmp_path_factory.mktemp("resume")
    write_world(folder / "world", ("qaa", "qab"), 1, words=6000, train=60, dev=20, test=40)
    (folder / "small.yaml").write_text(RECIPE.format(world=folder / "world", root=ROOT))
    assert start(folder).wait(1800) == 0, (folder / "run" / "logs" / "snakemake.log").read_text()
    return folder


def test_killed_and_repeated_it_finishes_with_the_same_bytes(finished):
    made = make_plan(load(finished / "small.yaml"), finished / "store")
    assert not made.pending()
    scores = {job.id: job.record.read_bytes() for job in made.jobs.values() if job.stage == "evaluate"}
    adaptation = next(job for job in made.jobs.values() if job.stage == "adapt")
    assert len(scores) == 2
    for job in made.jobs.values():
        if job.stage in ("adapt", "evaluate"):
            shutil.rmtree(job.output)

    log = adaptation.output.with_name(adaptation.output.name + ".training") / "train.log"
    child = start(finished)
    limit = time.monotonic() + 900
    while '"valid_num_updates": "12"' not in (log.read_text(errors="replace") if log.exists() else ""):
        assert child.poll() is None and time.monotonic() < limit
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)  # the parent alone: all else has to end by itself
    child.wait()
    wait_until_closed(log)
    before = log.read_text(errors="replace")
    assert "done training" not in before and not adaptation.done

    assert (log.parent / "checkpoint_last.pt").exists()
    child, resumed = start(finished), False
    while child.poll() is None:
        resumed = resumed or (log.exists() and "Loaded checkpoint" in log.read_text(errors="replace")[len(before):])
        time.sleep(0.005)
    assert resumed and child.returncode == 0
    assert {name: made.jobs[name].record.read_bytes() for name in scores} == scores


def test_the_report_reads_a_run_through_its_links(finished):
    found = load_report([finished / "run"])
    assert len(found.scores) == 2 and sorted(score.updates or 0 for score in found.scores)[0] == 20
    assert len(found.artefacts) >= 4 and not found.problems and list(found.commands)
