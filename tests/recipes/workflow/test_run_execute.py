"""Running a plan through Snakemake, with a stand-in for the stages: order, failures, kills, two runs at once, clusters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from recipes.workflow import execute as module
from recipes.workflow.execute import execute, snakemake_arguments
from recipes.workflow.jobs import Plan
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load
from tests.killing import ROOT, warm
from tests.recipes.workflow.run_world import plan, write

pytest.importorskip("snakemake")
FAKE = (sys.executable, str(Path(__file__).with_name("fake_relexify.py")))
START = """import signal, sys
from pathlib import Path
from recipes.workflow import execute as module
from recipes.workflow.plan import make_plan
from recipes.workflow.settings import load
module.PROGRAM = (sys.executable, sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where the tests run in a shell's background
recipe, run, store = map(Path, sys.argv[2:5])
sys.exit(module.execute(make_plan(load(recipe), store), run, cores=2, quiet=True))
"""


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(module, "PROGRAM", FAKE)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "fake.log"))
    monkeypatch.setenv("FAKE_GO", str(tmp_path / "go"))
    return tmp_path / "fake.log"


def small_recipe(root: Path) -> Path:
    """One arm, one seed, two new languages, one budget: 9 jobs."""
    return write(root, arms={"standard": {"recipe": str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml")}}, seeds=[1],
                 budgets={"updates": [20]})


def small(root: Path) -> Plan:
    return make_plan(load(small_recipe(root)), root / "store")


def begun(log: Path) -> list[str]:
    return [line.split()[1] for line in log.read_text().splitlines() if line.startswith("begin")] if log.exists() else []


def wait_until(true, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_all_cells_run_once_after_what_they_need_two_at_a_time(tmp_path, log, monkeypatch, capfd):
    """The two longest cells wait until both have begun, and a while: then a third that the cores do not allow would begin too."""
    monkeypatch.setenv("FAKE_SLOW", "-on-standard-s1")
    together = threading.Thread(target=lambda: (
        wait_until(lambda: sum(name.split("/")[0] in ("adapt", "finetune") for name in begun(log)) >= 2), time.sleep(3),
        (tmp_path / "go").touch()), daemon=True)
    together.start()
    made, root = small(tmp_path), tmp_path / "run"
    assert execute(made, root, cores=2) == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(begun(log)) == sorted(made.jobs)
    running, ended = 0, set()
    for what, name in lines:
        running += 1 if what == "begin" else -1
        assert running <= 2
        if what == "begin":
            assert set(made.jobs[name].needs) <= ended, name
        else:
            ended.add(name)
    assert (root / "commands.sh").read_text().splitlines() == [job.line for job in made.jobs.values()]
    cells = json.loads((root / "cells.json").read_text())
    assert {cell["folder"] for cell in cells} == {str(job.output) for job in made.jobs.values()}
    for name, job in made.jobs.items():
        assert (root / name).resolve() == job.output.resolve()
        assert (root / "logs" / f"{name}.log").read_text().startswith("$ relexify ")
    assert load(root / "recipe.yaml").seeds == (1,)
    shown = capfd.readouterr()
    assert "9 cells done" in shown.out
    assert 1 <= shown.err.count("cell/s") <= len(made.jobs) + 2  # no terminal: a line a cell at most, whatever the cells take
    assert execute(made, root, cores=2, quiet=True) == 0 and len(begun(log)) == len(made.jobs)  # again: nothing to do


def test_a_failed_cell_is_named_with_its_last_line_and_the_others_finish(tmp_path, log, monkeypatch, capfd):
    monkeypatch.setenv("FAKE_FAIL", "sw-random")
    made, root = small(tmp_path), tmp_path / "run"
    assert execute(made, root, cores=2, keep_going=True, quiet=True) == 1
    error = capfd.readouterr().err
    failed = next(name for name in made.jobs if name.startswith("adapt/sw-"))
    assert f"failed: {failed}: relexify: error: it is made to fail (log: {root / 'logs' / failed}.log)" in error
    assert "7 of 9 cells done, 1 failed, 1 not run" in error
    left = {name for name in made.jobs if not made.jobs[name].done}
    assert left == {failed, next(name for name in made.jobs if name.startswith("evaluate/xnli-test-random-20"))}
    monkeypatch.delenv("FAKE_FAIL")
    assert execute(made, root, cores=2, quiet=True) == 0
    assert begun(log).count(failed) == 2 and len(begun(log)) == len(made.jobs) + 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["parent", "all"])
def test_after_kill_9_nothing_is_left_and_the_same_command_goes_on(how, tmp_path, log, monkeypatch):
    """The parent alone, whose children must end by themselves; and every process of it at once."""
    monkeypatch.setenv("FAKE_SLOW", "sw-random")
    recipe, run = small_recipe(tmp_path), tmp_path / "run"
    made = make_plan(load(recipe), tmp_path / "store")
    slow = next(name for name in made.jobs if name.startswith("adapt/sw-"))
    words = [sys.executable, "-c", START, FAKE[1], str(recipe), str(run), str(tmp_path / "store")]
    child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: slow in begun(log))
    if how == "all":
        import psutil

        for process in psutil.Process(child.pid).children(recursive=True):
            process.kill()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_until(lambda: not processes(tmp_path), 10)
    monkeypatch.delenv("FAKE_SLOW")
    assert subprocess.run(words, cwd=ROOT, check=False, capture_output=True, env=warm()).returncode == 0
    assert not make_plan(load(recipe), tmp_path / "store").pending()
    again = [name for name in made.jobs if begun(log).count(name) > 1]
    assert slow in again and len(again) <= 2  # what was running, nothing else


@pytest.mark.parametrize("name", ["a: b {x} #1", "{", "it's {{\"so\"}}", "ü -P $HOME %s [1] *"])
def test_a_project_below_a_folder_with_an_odd_name(name, tmp_path, log, monkeypatch):
    """Braces, colons, quotes and the like mean something to Snakemake, to fairseq or to a shell; not to a run."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    Path("random.py").write_text("raise SystemExit('executed')")  # no module of Snakemake's or of a cell's
    made = make_plan(load(small_recipe(Path.cwd())), Path("store"))
    assert execute(made, Path("run"), cores=2, quiet=True, only=["prepare"]) == 0
    assert len(begun(log)) == 3 and all((Path("run") / f"{name}").is_symlink() for name in begun(log))
    assert not made.pending(["prepare"])


def test_warnings_of_the_cells_are_shown_once_with_the_cells_that_have_them(tmp_path, log, monkeypatch, capfd):
    monkeypatch.setenv("FAKE_WARN", "28 of 97 questions are left out")
    made, root = small(tmp_path), tmp_path / "run"
    assert execute(made, root, cores=2, quiet=True, only=["prepare"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1 and lines[0].startswith("relexify: warning: 28 of 97 questions are left out (prepare/")
    assert lines[0].endswith(" and 2 more cells)")
    monkeypatch.delenv("FAKE_WARN")
    assert execute(made, root, cores=2, quiet=True, only=["prepare"]) == 0  # nothing runs: nothing is said again
    assert "warning" not in capfd.readouterr().err


def test_a_cells_file_that_was_damaged_is_one_line(tmp_path):
    from recipes.workflow import job

    (tmp_path / ".jobs" / "prepare").mkdir(parents=True)
    (tmp_path / ".jobs" / "prepare" / "en.json").write_text('{"stage": "prepare"}')
    done = subprocess.run([sys.executable, "-P", "-m", job.__name__, str(tmp_path), "prepare/en"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "'folder' is missing" in done.stderr


def processes(root: Path) -> list[str]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(root) in line:
                found.append(line)
    return found


@pytest.mark.slow
def test_ctrl_c_ends_the_children(tmp_path, log, monkeypatch):
    monkeypatch.setenv("FAKE_SLOW", "en-")
    words = [sys.executable, "-c", START, FAKE[1], str(small_recipe(tmp_path)), str(tmp_path / "run"), str(tmp_path / "store")]
    child = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: any(name.startswith("prepare/en") for name in begun(log)))
    os.kill(child.pid, signal.SIGINT)
    assert child.wait(30) != 0
    wait_until(lambda: not processes(tmp_path), 10)


@pytest.mark.slow
def test_two_runs_at_once_on_one_store_do_nothing_twice(tmp_path, log):
    made = small(tmp_path)
    words = [[sys.executable, "-c", START, FAKE[1], str(small_recipe(tmp_path)), str(tmp_path / run), str(tmp_path / "store")]
             for run in ("one", "two")]
    children = [subprocess.Popen(each, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=warm())
                for each in words]
    assert [child.wait(300) for child in children] == [0, 0]
    assert sorted(begun(log)) == sorted(made.jobs)
    for run in ("one", "two"):
        assert all((tmp_path / run / name).resolve() == job.output.resolve() for name, job in made.jobs.items())


def test_a_second_process_of_the_same_run_is_refused(tmp_path, log, monkeypatch):
    monkeypatch.setattr(module, "LOCK_WAIT", 0.1)
    (tmp_path / "run").mkdir()
    with module.locked(tmp_path / "run"), pytest.raises(UserError, match="another process is at work on this run"):
        execute(small(tmp_path), tmp_path / "run", cores=1, quiet=True)


def test_missing_inputs_stop_a_run_before_it_begins(tmp_path, log):
    made = plan(tmp_path, "languages.bg.text=/no/bg.txt")
    with pytest.raises(UserError, match=r"/no/bg.txt: expected text"):
        execute(made, tmp_path / "run", cores=1, quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_simulated_executor_schedules_every_cell(tmp_path):
    from recipes.bench.run import measure

    row = measure(tmp_path / "bench", 60, cores=4)
    assert row["cells"] == 15 + 40


def test_a_missing_package_is_one_line(monkeypatch):
    def without(*missing):
        return lambda name: None if name in missing else object()

    monkeypatch.setattr("importlib.util.find_spec", without("snakemake"))
    with pytest.raises(UserError, match=r"^Snakemake is not installed; pip install 'relexify\[run\]'$"):
        snakemake_arguments("local", 1, None, False)
    for name in ("slurm", "kubernetes"):
        monkeypatch.setattr("importlib.util.find_spec", without(f"snakemake_executor_plugin_{name}"))
        with pytest.raises(UserError, match=rf"executor {name} is not installed; pip install 'relexify\[{name}\]'$"):
            snakemake_arguments(name, None, 5, False)


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(UserError, match=r"--profile pbs: expected local, kubernetes, slurm or a folder"):
        snakemake_arguments("pbs", None, None, False)


STUBS = {"sbatch": 'echo "$*" >> "$SBATCH_LOG"\nfor last; do :; done\neval "$(printf %s "$last" | sed "s/^--wrap=//")" '
                   '> "$SBATCH_LOG.out" 2>&1\necho 17$(wc -l < "$SBATCH_LOG")\n',
         "srun": 'while [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n',
         "sacct": 'n=$(wc -l < "$SBATCH_LOG")\nfor i in $(seq $n); do echo "17$i|COMPLETED"; done\n',
         "sinfo": "exit 0\n", "squeue": "exit 0\n", "scontrol": "exit 0\n", "sacctmgr": "echo me\n", "scancel": "exit 0\n"}


def test_slurm_gets_one_job_a_cell_with_what_the_recipe_asks_for(tmp_path, log, monkeypatch):
    """Slurm's programs are stand-ins: sbatch runs its job at once."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n" + text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SBATCH_LOG", str(tmp_path / "sbatch.log"))
    (tmp_path / "profile").mkdir()
    shipped = (ROOT / "recipes" / "run" / "profiles" / "slurm" / "config.yaml").read_text()
    (tmp_path / "profile" / "config.yaml").write_text(
        shipped + "slurm-init-seconds-before-status-checks: 1\nseconds-between-status-checks: 1\n")
    resources = {"default": {"runtime": 90, "mem_mb": 1234, "extra": {"slurm_account": "me", "slurm_partition": "gpu"}},
                 "pretrain": {"threads": 3, "gpus": 2, "extra": {"nodes": 2}}}
    made = plan(tmp_path, seeds=[1], resources=resources,
                arms={"standard": {"recipe": str(ROOT / "recipes" / "pretrain" / "demo-standard.yaml")}})
    code = execute(made, tmp_path / "run", only=["pretrain"], profile=str(tmp_path / "profile"), jobs=2, quiet=True)
    assert code == 0, (tmp_path / "run" / "logs" / "snakemake.log").read_text()
    first, second = (tmp_path / "sbatch.log").read_text().splitlines()
    assert "-t 90" in first and "--mem 1234" in first and "-A me" in first.replace("'", "") and "--gpus" not in first
    assert "--nodes=2" in second and "--gpus=2" in second and "--requeue" in second
    assert [name.split("/")[0] for name in begun(log)] == ["prepare", "pretrain"]
