"""`relexify demo`: the whole journey in the miniature world, for several ways of pre-training a body and several seeds.

Every step is a relexify command of its own (written to `OUTPUT/commands.sh` before it runs), two at a time; a step
whose output exists is skipped, so a demo that was cut off goes on where it stopped.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, write_json
from recipes.demo.checks import check
from recipes.demo.settings import CONTROL, DemoSettings, recipe_path
from recipes.warm import warm


@dataclass
class Step:
    """One command with the output that shows it is done and the steps it waits for; `cost` is how long it takes beside others."""

    name: str
    cost: float
    words: list[str]
    output: Path
    needs: tuple[str, ...] = ()
    log: Path | None = None


@dataclass
class Plan:
    """All steps of a demo by name, in the order in which they were planned."""

    steps: dict[str, Step] = field(default_factory=dict)

    def add(self, name: str, cost: float, output: Path, words: list[Any], *needs: str) -> None:
        self.steps[name] = Step(name, cost, [str(word) for word in words], output, needs)


def plan(root: Path, settings: DemoSettings) -> Plan:
    """The journey as commands, seed by seed, so that what is there when somebody stops it can be compared."""
    made = Plan()
    for seed in settings.seeds:
        _world(made, root / f"seed-{seed}", settings, seed)
        for arm in settings.arms:
            _arm(made, root / f"seed-{seed}", settings, seed, arm)
    return made


def _world(made: Plan, root: Path, s: DemoSettings, seed: int) -> None:
    """A world with its texts and examples, and the texts as numbers."""
    from recipes.world import BASE

    world = root / "world"
    sizes = ",".join([f"{BASE}={s.base_words}", *(f"{code}={s.new_words}" for code in s.languages)])
    made.add(f"world-{seed}", 6, world,
             ["world", "--output", world, "--seed", seed, "--languages", BASE, *s.languages, "--words", sizes,
              "--train", s.train_pairs, "--dev", 500, "--test", s.test_pairs])
    for code in (BASE, *s.languages):
        made.add(f"prepare-{seed}-{code}", 1, root / "data" / code,
                 ["prepare", world / "text" / f"{code}.txt", "--language", code, "--output", root / "data" / code,
                  "--vocab-size", s.vocabulary, "--model-type", "bpe", "--documents", "line", "--workers", 1,
                  "--seed", seed], f"world-{seed}")


def _arm(made: Plan, root: Path, s: DemoSettings, seed: int, arm: str) -> None:
    """A body, its task body, an embedding of each language for every budget, and their scores."""
    from recipes.world import BASE

    electra = s.backbone == "electra"
    objective = ["--objective", "joint"] if electra else []  # in the worlds the surest (docs/electra.md)
    body, task, name = root / arm / "en", root / arm / "nli", f"{seed}-{arm}"
    plain = ["--dropout", 0.0, "--attention-dropout", 0.0]
    made.add(f"pretrain-{name}", 10, body,
             ["pretrain", recipe_path(arm, s.backbone), f"data={root / 'data' / BASE}",
              f"output={body}", *([] if electra else [f"layers={s.layers}", f"width={s.width}", f"ffn={4 * s.width}"]),
              f"updates={s.updates}", f"tokens_per_sample={s.block}", f"batch_size={s.batch}", f"warmup={s.updates // 20}",
              f"validate_every={s.updates // 2}", f"seed={seed}", "threads=1",
              *(f"{key}={value}" for key, value in s.resets(arm).items())], f"prepare-{seed}-{BASE}")
    for code in s.languages:
        made.add(f"adapt-{name}-{code}", 4, root / arm / code,
                 ["adapt", "--body", body, "--data", root / "data" / code, "--output", root / arm / code,
                  "--budgets", ",".join(map(str, s.budgets)), "--lr", "auto", "--tokens-per-sample", s.block,
                  "--batch-size", s.batch, "--seed", seed, "--threads", 1, *plain, *_rows(root / "world", s, code), *objective],
                 f"pretrain-{name}", f"prepare-{seed}-{code}")
    if not s.scored:
        return
    made.add(f"finetune-{name}", 4, task,
             ["finetune", "--body", body, "--task", "xnli", "--data", root / "world" / "nli", "--output", task,
              "--updates", s.finetune_updates, "--lr", s.finetune_lr, "--validate-every", max(1, s.finetune_updates // 2),
              "--seed", seed, "--threads", 1, *plain], f"pretrain-{name}")
    for budget in s.scored:
        embeddings = [root / arm / code / "at" / f"{budget:06d}" for code in s.languages]
        if budget == max(s.scored):
            embeddings.insert(0, body)
        scores = root / arm / f"scores-{budget:06d}"
        made.add(f"evaluate-{name}-{budget}", 1, scores,
                 ["evaluate", "--body", task, "--task", "xnli", "--split", "test", "--data", root / "world" / "nli",
                  "--output", scores, "--threads", 1, *(word for one in embeddings for word in ("--embedding", one))],
                 f"finetune-{name}", *(f"adapt-{name}-{code}" for code in s.languages))


def _rows(world: Path, s: DemoSettings, code: str) -> list[str]:
    """Options of an adaptation that say how its rows begin; none where they are drawn."""
    from recipes.world import BASE

    if s.initialiser == "random":
        return []
    from recipes.workflow.initialisers import resources_for

    files = f"dictionary={world / 'dictionaries' / f'{BASE}-{code}.tsv'},source_text={world / 'text' / f'{BASE}.txt'}"
    found = resources_for(files, s.initialiser, code)
    return ["--initialiser", s.initialiser, *(["--resources", found] if found else [])]


def execute(made: Plan, root: Path, workers: int) -> dict[str, float]:
    """Runs all steps, `workers` at a time, each as soon as what it needs is there; returns seconds per step.

    Raises:
        UserError: a step failed; its log is named.
    """
    logs = root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (root / "commands.sh").write_text(
        "".join(shlex.join(["relexify", *step.words]) + "\n" for step in made.steps.values()), encoding="utf-8")
    started = time.monotonic()
    seconds: dict[str, float] = {}
    done: set[str] = set()
    running: dict[Future[float], str] = {}
    waiting = list(made.steps)
    with warmed() as environment, ThreadPoolExecutor(workers) as pool:
        try:
            while waiting or running:
                for name in list(waiting):
                    step = made.steps[name]
                    if len(running) < workers and done.issuperset(step.needs):
                        waiting.remove(name)
                        running[pool.submit(_run, step, logs / f"{name}.log", environment)] = name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    seconds[name] = future.result()
                    done.add(name)
                    print(f"[{len(done):2}/{len(made.steps)}] {name:24} "
                          + (f"{seconds[name]:6.1f} s" if seconds[name] else "there already")
                          + left(made, seconds, time.monotonic() - started), flush=True)
        except BaseException:
            waiting.clear()
            for future in running:
                future.cancel()
            raise
    return seconds


def left(made: Plan, seconds: dict[str, float], elapsed: float) -> str:
    """How much time is left, from how long the steps took that were run; nothing before one has been."""
    ran = sum(made.steps[name].cost for name, spent in seconds.items() if spent)
    rest = sum(step.cost for name, step in made.steps.items() if name not in seconds)
    return f", about {elapsed * rest / ran / 60:.0f} min left" if ran and rest else ""


@contextmanager
def warmed() -> Iterator[dict[str, str]]:
    """The environment of the steps: one thread each, our modules first, forked from warm processes where there can be any."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH", "")]))
    with warm(environment) as more:
        yield {**environment, **more}


def _run(step: Step, log: Path, environment: dict[str, str]) -> float:
    if step.output.exists():
        return 0.0
    started = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        code = subprocess.run([sys.executable, "-m", "recipes.cli", *step.words], stdout=file, stderr=subprocess.STDOUT,
                              env=environment, check=False).returncode
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UserError(f"the step {step.name} ended with code {code}: {' '.join(last)} (its log: {log}; the same command "
                        "goes on from here, one with other settings needs another --output)")
    return time.monotonic() - started


def demo(root: Path, settings: DemoSettings, workers: int) -> int:
    """Runs the journey in `root`, writes findings, picture and report there, and prints the findings.

    Raises:
        UserError: settings that some step would refuse, `root` holds a demo with other settings, or a step failed.
    """
    check(settings, workers)
    root.mkdir(parents=True, exist_ok=True)
    record = root / "settings.json"
    begun = any(root.glob("seed-*/world"))  # every other step needs it: before it there is nothing that settings could bind
    before = read_json(record) if begun and record.exists() else {}
    if before and {"initialiser": "random", **before, **_growing(settings)} != _plain(settings):
        raise UserError(f"{root}: holds a demo with other settings; name another --output, or delete that folder")
    write_json(record, _plain(settings))
    started = time.monotonic()
    write_json(root / "seconds.json", execute(plan(root, settings), root, workers))
    from recipes.demo.findings import ALT, write_findings
    from recipes.demo.picture import picture
    from recipes.demo.records import collect
    from recipes.report.build import report
    from recipes.report.results.arms import CONTROL as MATCHED

    results = collect(root, settings)
    write_json(root / "results.json", results)
    picture(results, root / "curves.png")
    text = write_findings(results)
    (root / "findings.md").write_text(text, encoding="utf-8")
    if settings.scored:  # a report is of scores
        matched = MATCHED if CONTROL in settings.arms else ""  # as the findings do, whatever other rates there are beside it
        report([root], root / "report", matched, overwrite=True, picture=root / "curves.png", told=ALT)
    print("\n" + text)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes; {root / 'findings.md'}, {root / 'curves.png'}, "
          f"{root / 'results.json'}; the commands: {root / 'commands.sh'}")
    if settings.scored:
        print(f"the report, a page for any browser: {root / 'report' / 'report.html'}")
    return 0


def _growing(settings: DemoSettings) -> dict[str, Any]:
    """What a demo may have more of when it is run again: seeds and arms."""
    return {name: _plain(settings)[name] for name in ("seeds", "arms")}


def _plain(settings: DemoSettings) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}
