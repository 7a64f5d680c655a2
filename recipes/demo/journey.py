"""`relexify demo`: the whole journey in the miniature world, for a standard and a forgetting body.

Every step is a relexify command of its own (written to `OUTPUT/commands.sh` before it runs), two at a time; a step
whose output exists is skipped, so a demo that was cut off goes on where it stopped.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, write_json
from recipes.demo.settings import ARMS, DemoSettings


@dataclass
class Step:
    """One command with the output that shows it is done and the steps it waits for."""

    name: str
    words: list[str]
    output: Path
    needs: tuple[str, ...] = ()
    log: Path | None = None


@dataclass
class Plan:
    """All steps of a demo by name, in the order in which they were planned."""

    steps: dict[str, Step] = field(default_factory=dict)

    def add(self, name: str, output: Path, words: list[Any], *needs: str) -> None:
        self.steps[name] = Step(name, [str(word) for word in words], output, needs)


def plan(root: Path, settings: DemoSettings) -> Plan:
    """The journey as commands."""
    from recipes.world import BASE

    s, made = settings, Plan()
    world = root / "world"
    sizes = ",".join([f"{BASE}={s.base_words}", *(f"{code}={s.new_words}" for code in s.languages)])
    made.add("world", world, ["world", "--output", world, "--seed", s.seed, "--languages", BASE, *s.languages,
                              "--words", sizes, "--train", s.train_pairs, "--dev", 1000, "--test", s.test_pairs,
                              "--qa-train", s.qa_train, "--qa-dev", 700, "--qa-test", s.qa_test,
                              "--qa-sentences", s.qa_sentences])
    for code in (BASE, *s.languages):
        made.add(f"prepare-{code}", root / "data" / code,
                 ["prepare", world / "text" / f"{code}.txt", "--language", code, "--output", root / "data" / code,
                  "--vocab-size", s.vocabulary, "--model-type", "bpe", "--documents", "line", "--workers", 1,
                  "--seed", s.seed], "world")
    recipes = Path(__file__).resolve().parents[1] / "pretrain"
    family = "demo-electra" if s.backbone == "electra" else "demo"
    objective = ["--objective", "joint"] if s.backbone == "electra" else []  # in the worlds the surest (docs/electra.md)
    for arm in ARMS:
        body = root / arm / "en"
        made.add(f"pretrain-{arm}", body,
                 ["pretrain", recipes / f"{family}-{arm}.yaml", f"data={root / 'data' / BASE}", f"output={body}",
                  f"updates={s.updates}", f"tokens_per_sample={s.block}", f"batch_size={s.batch}", f"lr={s.lr}",
                  f"warmup={s.updates // 20}", f"seed={s.seed}", "threads=1",
                  *([f"forget_every={s.forget_every}", f"forget_start={2 * s.forget_every}"] if arm == "forgetting" else [])],
                 f"prepare-{BASE}")
    for arm in ARMS:
        body, task = root / arm / "en", root / arm / "nli"
        made.add(f"finetune-{arm}", task,
                 ["finetune", "--body", body, "--task", "xnli", "--data", world / "nli", "--output", task,
                  "--updates", s.finetune_updates, "--lr", s.finetune_lr, "--validate-every", max(1, s.finetune_updates // 8),
                  "--dropout", 0.0, "--attention-dropout", 0.0, "--seed", s.seed, "--threads", 1],
                 f"pretrain-{arm}")
        made.add(f"finetune-{arm}-qa", root / arm / "qa",
                 ["finetune", "--body", body, "--task", "squad", "--data", world / "qa", "--output", root / arm / "qa",
                  "--updates", s.qa_updates, "--lr", s.qa_lr, "--validate-every", max(1, s.qa_updates // 4),
                  "--dropout", 0.0, "--attention-dropout", 0.0, "--seed", s.seed, "--threads", 1], f"pretrain-{arm}")
        for code in s.languages:
            made.add(f"adapt-{arm}-{code}", root / arm / code,
                     ["adapt", "--body", body, "--data", root / "data" / code, "--output", root / arm / code,
                      "--updates", s.adapt_updates, "--lr", s.adapt_lr, "--tokens-per-sample", s.block,
                      "--batch-size", s.batch, "--validate-every", max(1, s.adapt_updates // 12),
                      "--save-embeddings-at", ",".join(map(str, s.steps)), "--seed", s.seed, "--threads", 1,
                      "--dropout", 0.0, "--attention-dropout", 0.0, *objective], f"pretrain-{arm}", f"prepare-{code}")
    for arm in ARMS:
        for step in (*s.steps, s.adapt_updates):
            last = step == s.adapt_updates
            embeddings = [root / arm / code if last else root / arm / code / "at" / f"{step:06d}" for code in s.languages]
            if last:
                embeddings.insert(0, root / arm / "en")
            words: list[Any] = ["evaluate", "--body", root / arm / "nli", "--task", "xnli", "--split", "test",
                                "--data", world / "nli", "--output", root / arm / f"scores-{step:06d}", "--threads", 1]
            for folder in embeddings:
                words += ["--embedding", folder]
            made.add(f"evaluate-{arm}-{step}", root / arm / f"scores-{step:06d}", words,
                     f"finetune-{arm}", *(f"adapt-{arm}-{code}" for code in s.languages))
        words = ["evaluate", "--body", root / arm / "qa", "--task", "squad", "--split", "test", "--data", world / "qa",
                 "--output", root / arm / "scores-qa", "--threads", 1]
        for folder in (root / arm / code for code in ("en", *s.languages)):
            words += ["--embedding", folder]
        made.add(f"evaluate-{arm}-qa", root / arm / "scores-qa", words,
                 f"finetune-{arm}-qa", *(f"adapt-{arm}-{code}" for code in s.languages))
    return made


def execute(made: Plan, root: Path, workers: int) -> dict[str, float]:
    """Runs all steps, `workers` at a time, each as soon as what it needs is there; returns seconds per step.

    Raises:
        UserError: a step failed; its log is named.
    """
    logs = root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (root / "commands.sh").write_text(
        "".join(shlex.join(["relexify", *step.words]) + "\n" for step in made.steps.values()), encoding="utf-8")
    seconds: dict[str, float] = {}
    done: set[str] = set()
    running: dict[Future[float], str] = {}
    waiting = list(made.steps)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while waiting or running:
                for name in list(waiting):
                    step = made.steps[name]
                    if len(running) < workers and done.issuperset(step.needs):
                        waiting.remove(name)
                        running[pool.submit(_run, step, logs / f"{name}.log")] = name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    seconds[name] = future.result()
                    done.add(name)
                    print(f"[{len(done):2}/{len(made.steps)}] {name:24} "
                          + (f"{seconds[name]:6.1f} s" if seconds[name] else "there already"), flush=True)
        except BaseException:
            waiting.clear()
            for future in running:
                future.cancel()
            raise
    return seconds


def _run(step: Step, log: Path) -> float:
    if step.output.exists():
        return 0.0
    started = time.monotonic()
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH", "")]))
    with open(log, "w", encoding="utf-8") as file:
        code = subprocess.run([sys.executable, "-m", "recipes.cli", *step.words], stdout=file, stderr=subprocess.STDOUT,
                              env=environment, check=False).returncode
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise UserError(f"the step {step.name} ended with code {code}: {' '.join(last)} (its log: {log}; the same command "
                        "goes on from here)")
    return time.monotonic() - started


def demo(root: Path, settings: DemoSettings, workers: int) -> int:
    """Runs the journey in `root`, writes findings, picture and report there, and prints the findings.

    Raises:
        UserError: `root` holds a demo with other settings, or a step failed.
    """
    from recipes.demo.findings import collect, picture, write_findings
    from recipes.report.build import report

    root.mkdir(parents=True, exist_ok=True)
    record = root / "settings.json"
    if record.exists() and read_json(record) != _plain(settings):
        raise UserError(f"{root}: holds a demo with other settings; name another --output, or delete that folder")
    write_json(record, _plain(settings))
    started = time.monotonic()
    seconds = execute(plan(root, settings), root, workers)
    results = collect(root, settings)
    write_json(root / "results.json", results)
    write_json(root / "seconds.json", seconds)
    picture(results, root / "curves.png")
    text = write_findings(results, settings)
    (root / "findings.md").write_text(text, encoding="utf-8")
    report([root], root / "report", overwrite=True)
    print("\n" + text)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes; {root / 'findings.md'}, {root / 'curves.png'}, "
          f"{root / 'results.json'}; the commands: {root / 'commands.sh'}")
    print(f"the report, a page for any browser: {root / 'report' / 'report.html'}")
    return 0


def _plain(settings: DemoSettings) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}
