"""Runs a plan through Snakemake: one process group, one lock, one progress bar, and at the end what failed and why."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any

from pretrain.base.disk import check_place, full, make_folder
from pretrain.base.environment import available_cores
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file, write_json
from pretrain.base.locks import exclusive, sweep_all, sweep_files
from pretrain.base.notices import PREFIX, warn
from recipes.warm import warm
from recipes.workflow import gpus
from recipes.workflow.job import LEADER, link
from recipes.workflow.jobs import Job, Plan
from recipes.workflow.settings import STAGES

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "recipes" / "run" / "Snakefile"
PROGRAM = (sys.executable, "-P", "-m", "recipes.cli")
"""What runs a stage's command."""
PROFILES = REPOSITORY / "recipes" / "run" / "profiles"
LOCAL = "local"
LOCK_WAIT = 10.0
"""Seconds to wait for processes of this run that were killed a moment ago."""


def execute(plan: Plan, root: Path, *, only: Sequence[str] = (), cores: int | None = None, keep_going: bool = False,
            profile: str = LOCAL, jobs: int | None = None, report: bool = False, quiet: bool = False) -> int:
    """Runs what is not in the store yet; returns the exit code.

    Raises:
        UserError: missing inputs, a missing package, a profile that is none, another process at work on this run.
    """
    if plan.missing:
        lines = [f"{path}: expected {what}, found nothing" for path, what in plan.missing.items()]
        raise UserError(f"{plan.recipe.path}: " + (lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} inputs are missing",
                                                                                            *lines])))
    pending = plan.pending(only)
    arguments = snakemake_arguments(profile, cores, jobs, keep_going) if pending else []
    asked = {stage: plan.recipe.resources[stage]["gpus"] for stage in (plan.jobs[name].stage for name in pending)}
    shared = gpus.to_share(asked) if profile == LOCAL else None
    if shared is not None:
        arguments += ["--resources", f"gpu={len(shared)}"]
    for text in plan.recipe.warnings:
        warn(text)
    for folder in (root, plan.store):  # both before either is made
        check_place(folder)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: expected a folder, found a file; name another --output or --store")
    for folder in (root, plan.store):
        make_folder(folder)
    with locked(root) as lock:
        for folder in (root, plan.store, *(plan.store / stage for stage in STAGES)):
            if folder.is_dir():
                sweep_all(folder)
        sweep_files(root)
        lay_out(plan, root, pending, only, shared)
        code = _run_engine(root, arguments, lock, len(pending), profile == LOCAL, quiet) if pending else 0
        failed = [name for name in pending if (root / ".failed" / name).exists()]
        left = [name for name in pending if not plan.jobs[name].done]
    for text, names in warnings_of(root, pending).items():
        warn(text + (f" ({names[0]}" + (f" and {len(names) - 1:,} more cells)" if len(names) > 1 else ")")))
    for name in failed:
        log = root / "logs" / f"{name}.log"
        print(f"failed: {name}: {last_line(log)} (log: {log})", file=sys.stderr)
    if left:
        if not failed:
            log = root / "logs" / "snakemake.log"
            print(f"relexify: Snakemake ended with code {code}: {last_line(log)} (log: {log})", file=sys.stderr)
        for folder in dict.fromkeys((root, plan.store)):
            if full(folder):  # a full disk takes no line of a log either
                print(f"relexify: error: {folder}: {os.strerror(errno.ENOSPC)}; make room", file=sys.stderr)
        print(f"{len(pending) - len(left):,} of {len(pending):,} cells done, {len(failed):,} failed, "
              f"{len(left) - len(failed):,} not run; the same command goes on from here", file=sys.stderr)
    else:
        there = len(plan.jobs) - len(pending)
        print(f"{root}: {len(pending):,} cells done" + (f", {there:,} were in the store" if there else ""))
    if report or not (left or only):
        finish(plan, root)
    return 1 if left else 0


def snakemake_arguments(profile: str, cores: int | None, jobs: int | None, keep_going: bool) -> list[str]:
    """What decides where jobs run."""
    from importlib.util import find_spec

    if find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed; pip install 'relexify[run]'")
    if cores is not None and cores < 1:
        raise UserError(f"--cores {cores}: expected at least 1")
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs {jobs}: expected at least 1")
    found = ["--scheduler", "greedy", "--scheduler-greedy-omit-prioritize-by-temp-and-input",
             "--scheduler-subsample", "50", "--nolock", "--rerun-triggers", "mtime", "--rerun-incomplete", "--drop-metadata",
             "--quiet", "rules", "host", *(["--keep-going"] if keep_going else [])]
    if profile == LOCAL:
        if jobs is not None:
            raise UserError("--jobs is for clusters; on this machine --cores says how much runs at a time")
        return [*found, "--cores", str(cores or available_cores())]
    folder = Path(profile) if os.sep in profile or Path(profile).is_dir() else PROFILES / profile
    if not (folder / "config.yaml").is_file():
        known = sorted(path.name for path in PROFILES.iterdir() if path.is_dir())
        raise UserError(f"--profile {profile}: expected {', '.join([LOCAL, *known])} or a folder with config.yaml")
    executor = _executor(folder)
    if executor and find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        package = f"'relexify[{executor}]'" if executor in ("slurm", "kubernetes") else f"snakemake-executor-plugin-{executor}"
        raise UserError(f"--profile {profile}: Snakemake's executor {executor} is not installed; pip install {package}")
    return [*found, "--profile", str(folder.resolve()), *(["--cores", str(cores)] if cores else []),
            *(["--jobs", str(jobs)] if jobs else [])]


def _executor(profile: Path) -> str:
    """The executor that a profile names; the ones that Snakemake itself has need no package."""
    import yaml

    content = yaml.safe_load((profile / "config.yaml").read_text(encoding="utf-8")) or {}
    executor = str(content.get("executor", ""))
    return "" if executor in ("", "local", "dryrun", "touch") else executor


def locked(root: Path) -> AbstractContextManager[IO[bytes]]:
    """Keeps a second process of the same run out; Snakemake inherits the lock."""
    return exclusive(root / ".lock", LOCK_WAIT, f"{root}: another process is at work on this run; wait for it, or stop it")


def lay_out(plan: Plan, root: Path, pending: Sequence[str], only: Sequence[str] = (), shared: list[str] | None = None) -> None:
    """Writes everything that the run's folder says before anything runs.

    Args:
        shared: the GPUs that the cells share; None: they see what they always would.
    """
    from omegaconf import OmegaConf

    with atomic_file(root / "recipe.yaml") as file:
        OmegaConf.save(OmegaConf.create(plan.recipe.content), file)
    write_json(root / "cells.json", plan.cells)
    for path, text in plan.files.items():
        make_folder(path.parent)
        with atomic_file(path) as file:
            file.write_text(text, encoding="utf-8")
    with atomic_file(root / "commands.sh") as file:
        file.write_text("".join(job.line + "\n" for job in plan.jobs.values()), encoding="utf-8")
    for name in (".stamps", ".failed", ".jobs", *STAGES):  # marks and links only: outputs are in the store
        shutil.rmtree(root / name, ignore_errors=True)
    for job in plan.jobs.values():
        if job.done:
            link(root / job.id, job.output)
    shutil.copyfile(RULES, root / "Snakefile")
    todo = set(pending)
    for name in pending:
        _write_job(plan.jobs[name], plan, root, shared)
    write_json(root / "plan.json", {
        # Snakemake takes braces in a command for its own
        "command": shlex.join([sys.executable, "-P", "-m", "recipes.workflow.job", str(root.resolve())])
        .replace("{", "{{").replace("}", "}}"),
        "wanted": [name for name in plan.wanted(only) if name in todo],
        "needs": {name: [need for need in plan.jobs[name].needs if need in todo] for name in pending},
        "stages": {stage: _resources(plan.recipe.resources[stage]) for stage in STAGES}})


def _write_job(job: Job, plan: Plan, root: Path, shared: list[str] | None) -> None:
    """What `recipes.workflow.job` reads: a file a job, so that no job reads the whole plan."""
    import json

    threads = plan.recipe.resources[job.stage]["threads"]
    here = root.resolve()
    file = here / ".jobs" / f"{job.id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({
        "program": list(PROGRAM), "stage": job.stage, "words": job.words, "line": job.line, "folder": str(Path.cwd()),
        "output": str(job.output.absolute()),
        "record": str(job.record.absolute()), "log": str(here / "logs" / f"{job.id}.log"), "link": str(here / job.id),
        "lock": str(plan.store.absolute() / ".locks" / job.id), "stamp": str(here / ".stamps" / job.id),
        "failed": str(here / ".failed" / job.id),
        "gpus": None if shared is None else {"names": shared, "count": plan.recipe.resources[job.stage]["gpus"]},
        "environment": {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}}),
        encoding="utf-8")


def _resources(given: dict[str, Any]) -> dict[str, Any]:
    """A stage's threads and what else it asks for, by the names that Snakemake's executors know."""
    found = {key: given[key] for key in ("mem_mb", "runtime") if given.get(key)}
    if given["gpus"]:
        found["gpu"] = given["gpus"]
    return {"threads": given["threads"], "resources": {**found, **given["extra"]}}


def _run_engine(root: Path, arguments: list[str], lock: IO[bytes], total: int, local: bool, quiet: bool) -> int:
    from tqdm import tqdm

    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}  # a user's `random.py` is no module of ours
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), environment.get("PYTHONPATH", "")]))
    environment.pop(LEADER, None)
    if local:
        environment["RELEXIFY_RUN_LOCAL"] = "1"
    (root / "logs").mkdir(exist_ok=True)
    environment.update(cache(root))
    words = [sys.executable, "-m", "recipes.workflow.engine", "--snakefile", "Snakefile", "--directory", ".", *arguments]
    alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # as the cells that have one thread, which can be served
    serving: AbstractContextManager[dict[str, str]] = warm({**environment, **alone}) if local else nullcontext({})
    with serving as served, open(root / "logs" / "snakemake.log", "ab") as log:
        child = subprocess.Popen(words, cwd=root, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                                 env={**environment, **served}, start_new_session=True, pass_fds=[lock.fileno()])
        try:
            # a terminal's clock ticks between cells, a log gets a line where a cell has ended
            with tqdm(total=total, desc=root.name, unit="cell", disable=quiet, dynamic_ncols=True, smoothing=0.1, mininterval=1,
                      miniters=0 if sys.stderr.isatty() else 1) as bar:
                while child.poll() is None:
                    time.sleep(0.2)
                    _show(bar, root)
                _show(bar, root)
            return child.returncode
        finally:
            _end(child, local)


def cache(root: Path) -> dict[str, str]:
    """Where Snakemake keeps its cache: as always, or below the run's folder where the user's own cannot be written."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "snakemake"
    place = own
    while not place.exists() and place != place.parent:
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return {}
    found = root.resolve() / ".cache"
    print(f"relexify: {own} cannot be written, Snakemake's cache is {found}", file=sys.stderr)
    return {"XDG_CACHE_HOME": str(found)}


def _show(bar: Any, root: Path) -> None:
    done, failed = (sum(len(files) for _, _, files in os.walk(root / name)) for name in (".stamps", ".failed"))
    if failed:
        bar.set_postfix_str(f"{failed} failed", refresh=False)
    bar.update(done - bar.n)


def _end(child: subprocess.Popen[bytes], local: bool) -> None:
    """Ends Snakemake and, on this machine, all it has started; on a cluster it cancels its jobs first."""
    if child.poll() is None:
        if local:
            os.killpg(child.pid, signal.SIGTERM)
        else:
            os.kill(child.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(5 if local else 60)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def finish(plan: Plan, root: Path) -> None:
    """The commands at the end of a run, on what is there."""
    if "report" in plan.recipe.finals and any((root / "evaluate").glob("*")):
        from recipes.report.build import report

        report([root], root / "report", overwrite=True)
        print(f"the report, a page for any browser: {root / 'report' / 'report.html'}")
    if "paper-tables" in plan.recipe.finals:
        from recipes.report.paper_tables import paper_tables

        text = paper_tables([root], "standard", "forgetting")
        with atomic_file(root / "paper-tables.txt") as file:
            file.write_text(text + "\n", encoding="utf-8")
        print(text)


def warnings_of(root: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """What the commands of these cells have warned of, each as they ran last: text -> cells."""
    found: dict[str, list[str]] = {}
    for name in names:
        with suppress(FileNotFoundError), open(root / "logs" / f"{name}.log", encoding="utf-8", errors="replace") as log:
            said: list[str] = []
            for line in log:
                if line.startswith("$ relexify "):
                    said = []
                elif line.startswith(PREFIX):
                    said.append(line.removeprefix(PREFIX).strip())
            for text in said:
                found.setdefault(text, []).append(name)
    return found


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    if not log.exists():
        return "no log was written"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "the log is empty"
