"""Running one training stage: composes the `fairseq-train` line, runs it, shows progress, resumes after a kill.

A stage trains in `OUTPUT.training/` (checkpoints, log) and writes its artefact to `OUTPUT` only when it is done, so an
existing OUTPUT is always whole. A second run with the same settings goes on where the first was cut off.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from zipfile import is_zipfile

from pretrain.base.errors import UserError
from pretrain.base.files import exclusive, read_json, refuse_existing, write_json

REPOSITORY = Path(__file__).resolve().parent.parent
CURVE = ("loss", "accuracy", "exact_match", "f1", "ppl", "mlm_loss", "rtd_loss", "generator_accuracy", "sampled_accuracy",
         "replaced", "rtd_accuracy", "rtd_precision", "rtd_recall", "rtd_auc")
"""Figures of a validation that an artefact's curve keeps."""


def command_line(user_dir: str, data: str | Path, options: Mapping[str, Any]) -> list[str]:
    """The `fairseq-train` line: `DATA --user-dir … --key value …`; True is a bare flag, None and False are left out."""
    folder = REPOSITORY / user_dir
    here = Path.cwd().resolve()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    words = ["fairseq-train", str(data), "--user-dir", str(shown)]
    for key, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + key.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words


def tensorboard_folder(folder: str) -> str | None:
    """The value of `--tensorboard-logdir`; None where no folder is named.

    Raises:
        UserError: nothing is installed that could write there; fairseq itself would train on without a log.
    """
    if folder and not any(importlib.util.find_spec(name) for name in ("tensorboard", "tensorboardX")):
        raise UserError(f"tensorboard {folder}: writing TensorBoard logs needs a package that is not installed; run "
                        "`pip install tensorboardX` (or `relexify[tensorboard]`), or leave the setting out")
    return folder or None


@dataclass
class Stage:
    """One training stage and where it lives.

    Attributes:
        name: shown in the progress bar.
        output: where the artefact will stand.
        command: words of the `fairseq-train` line, without `--save-dir` and logging.
        updates: planned number of updates.
        settings: everything that decides the result; a resumed run must have the same.
        threads: CPU threads of the training process; 0 leaves the choice to torch.
        processes: training processes (GPUs) of a machine, started by torchrun where more than one.
        nodes: machines; of more than one each runs torchrun, started by srun inside a Slurm allocation of that many.
        lock_wait: seconds to wait for another process to leave the training folder.
    """

    name: str
    output: Path
    command: list[str]
    updates: int
    settings: dict[str, Any]
    threads: int = 0
    overwrite: bool = False
    quiet: bool = False
    log_interval: int = 25
    environment: dict[str, str] = field(default_factory=dict)
    processes: int = 1
    nodes: int = 1
    lock_wait: float = 10.0

    @property
    def ranks(self) -> int:
        """Training processes in all."""
        return self.processes * self.nodes

    @property
    def folder(self) -> Path:
        """Where the stage trains: checkpoints, log, settings."""
        return self.output.with_name(self.output.name + ".training")

    def words(self) -> list[str]:
        """The full `fairseq-train` line."""
        # the number of ranks is said outright: where fairseq counts one GPU it looks no further
        return [*self.command, *(["--distributed-world-size", str(self.ranks)] if self.ranks > 1 else []),
                "--save-dir", str(self.folder), "--log-format", "json", "--log-interval", str(self.log_interval)]

    def printed(self) -> str:
        """The line as a shell takes it."""
        words = self.words()
        if self.ranks > 1:
            words = [*self.launcher("torchrun"), "-m", "fairseq_cli.train", *words[1:]]
        return shlex.join(words)

    def launcher(self, *torchrun: str) -> list[str]:
        """The words that start torchrun, here or once on each node of the Slurm allocation; the first node, where this runs,
        is where the processes meet."""
        local = [*torchrun, f"--nproc-per-node={self.processes}"]
        if self.nodes == 1:
            return local
        port = 29500 + int(os.environ.get("SLURM_JOB_ID", "0")) % 1000
        return ["srun", f"--nodes={self.nodes}", f"--ntasks={self.nodes}", "--ntasks-per-node=1", "--overlap",
                "--kill-on-bad-exit=1", *local, f"--nnodes={self.nodes}", "--rdzv-backend=c10d",
                f"--rdzv-endpoint={socket.gethostname()}:{port}", f"--rdzv-id={self.output.name}"]

    def _check_devices(self) -> None:
        """Refuses processes that fairseq would not connect: without a GPU each, every one would train for itself."""
        if self.ranks == 1:
            return
        import torch

        if (found := torch.cuda.device_count()) < self.processes:
            raise UserError(f"processes={self.processes}, nodes={self.nodes}: expected a GPU for each process of a machine, "
                            f"found {found}; set processes=1 and nodes=1 (a larger update_freq makes the same batch)")

    def run(self) -> Path:
        """Trains to the end and returns the training folder.

        Raises:
            UserError: existing output, other settings than the run that was cut off, or a mistake that the training
                process reported.
        """
        refuse_existing(self.output, self.overwrite)
        self._check_devices()
        if self.nodes > 1 and int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) < self.nodes:
            found = os.environ.get("SLURM_JOB_NUM_NODES", "none")
            raise UserError(f"nodes={self.nodes}: expected a Slurm allocation of {self.nodes} nodes, found {found}; start it by "
                            f"sbatch --nodes={self.nodes}, or set nodes=1")
        self._check_settings()
        words = self.words()
        env = {**os.environ, **self.environment}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), env.get("PYTHONPATH", "")]))
        env.setdefault("PYTHONWARNINGS", "ignore")
        if self.threads:
            env.update(OMP_NUM_THREADS=str(self.threads), MKL_NUM_THREADS=str(self.threads))
        log = self.folder / "train.log"
        tail: deque[str] = deque(maxlen=25)
        with self._locked() as lock, open(log, "a", encoding="utf-8") as file:
            launch = [sys.executable, "-m", "fairseq_cli.train"]
            if self.ranks > 1:
                launch = [*self.launcher(sys.executable, "-m", "torch.distributed.run"), *launch[1:]]
            child = subprocess.Popen([*launch, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                     encoding="utf-8", errors="replace", env=env, pass_fds=[lock.fileno()])
            try:
                assert child.stdout is not None
                self._follow(child.stdout, file, tail)
                code = child.wait()
            except BaseException:
                child.kill()
                raise
        if code:
            for line in reversed(tail):
                if line.startswith("relexify: error: "):
                    raise UserError(line.removeprefix("relexify: error: ").strip())
            raise RuntimeError(f"{self.name}: fairseq-train ended with code {code}; the log is {log}\n" + "".join(tail))
        return self.folder

    def discard(self) -> None:
        """Removes the training folder (after the artefact has been written)."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _locked(self) -> AbstractContextManager[IO[bytes]]:
        """Keeps a second run out of the training folder."""
        return exclusive(self.folder / "lock", self.lock_wait,
                         f"{self.folder}: another process is training there; wait for it, or stop it")

    def _check_settings(self) -> None:
        path = self.folder / "settings.json"
        settings = json.loads(json.dumps(self.settings))
        if path.exists():
            old = read_json(path)
            if changed := changes(old, settings):
                raise UserError(f"{self.folder}: holds an unfinished run with other settings ({changed}); "
                                "repeat them to resume, or delete that folder to start anew")
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, settings)
        last = self.folder / "checkpoint_last.pt"
        if last.exists() and not is_zipfile(last):  # torch's checkpoints are zip files, whose directory comes last
            raise UserError(f"{last}: the checkpoint is cut short or damaged ({last.stat().st_size:,} bytes); copy another "
                            "checkpoint of this folder over it, or delete the folder to start anew")

    def _follow(self, stream: IO[str], file: IO[str], tail: deque[str]) -> None:
        from tqdm import tqdm

        with tqdm(total=self.updates, desc=self.name, unit="update", disable=self.quiet, mininterval=0.5,
                  dynamic_ncols=True, smoothing=0.1) as bar:
            for line in stream:
                file.write(line)
                file.flush()
                tail.append(line)
                tag, stats = parse_log_line(line)
                updates = stats.get("num_updates", stats.get("valid_num_updates"))
                if updates is None:
                    continue
                step = int(float(updates))
                if bar.n == 0 and step > self.log_interval:
                    bar.initial = step - self.log_interval  # a resumed run: the rate counts this session only
                bar.n = max(bar.n, step)
                if tag == "valid":
                    bar.set_postfix_str(f"valid loss {stats.get('valid_loss', '?')}", refresh=False)
                bar.update(0)
                bar.refresh()


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between the settings of two runs, each with both values; empty where nothing does."""
    return "; ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in sorted({*old, *new})
                     if old.get(key) != new.get(key))


def parse_log_line(line: str) -> tuple[str, dict[str, Any]]:
    """`(tag, values)` of a JSON line of fairseq's log, or `("", {})`."""
    parts = line.rstrip("\n").split(" | ", 3)
    if len(parts) == 4 and parts[2] in ("train_inner", "train", "valid") and parts[3].startswith("{"):
        try:
            return parts[2], json.loads(parts[3])
        except json.JSONDecodeError:
            return "", {}
    return "", {}


def read_curve(folder: str | Path, subset: str = "valid") -> list[dict[str, float]]:
    """The held-out curve of a stage from its log: `{update, loss, …}`; a repeated update keeps its last value."""
    points: dict[int, dict[str, float]] = {}
    with open(Path(folder) / "train.log", encoding="utf-8") as file:
        for line in file:
            tag, stats = parse_log_line(line)
            if tag == subset:
                update = int(float(stats[f"{subset}_num_updates"]))
                values = {k.removeprefix(f"{subset}_"): _number(v) for k, v in stats.items()}
                points[update] = {"update": update, **{k: v for k, v in values.items() if k in CURVE and v is not None}}
    return [points[key] for key in sorted(points)]


def read_training(folder: str | Path, most: int = 600) -> list[dict[str, float]]:
    """What was logged while a stage trained: `{update, loss, lr}`, with forgetting also `lr_embedding`; figures of a repeated
    update keep their last value.

    Args:
        most: points to keep; of more, neighbours are averaged and stand at the last update of theirs.
    """
    points: dict[int, dict[str, float]] = {}
    with open(Path(folder) / "train.log", encoding="utf-8", errors="replace") as file:
        for line in file:
            tag, stats = parse_log_line(line)
            if tag == "train_inner" and (loss := _number(stats.get("loss"))) is not None and "num_updates" in stats:
                rates = {key: rate for key in ("lr", "lr_embedding") if (rate := _number(stats.get(key))) is not None}
                update = int(float(stats["num_updates"]))
                points[update] = {"update": update, "loss": loss, **rates}
    every = [points[key] for key in sorted(points)]
    size = max(1, -(-len(every) // most))
    groups = [every[start:start + size] for start in range(0, len(every), size)]
    return [{**group[-1], "loss": sum(point["loss"] for point in group) / len(group)} for group in groups]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def common_options(*, updates: int, batch_size: int | None, lr: float, warmup: int, seed: int, clip_norm: float,
                   validate_every: int, update_freq: int = 1, max_tokens: int | None = None, patience: int = 0,
                   weight_decay: float = 0.01) -> dict[str, Any]:
    """The options that all three training stages share, as keys of `command_line`."""
    return {
        "optimizer": "modular_adamw",
        "lr_scheduler": "modular_polynomial",
        "lr": lr,
        "warmup_updates": warmup,
        "weight_decay": weight_decay,
        "clip_norm": clip_norm,
        "max_update": updates,
        "batch_size": batch_size,
        "max_tokens": max_tokens,
        "update_freq": update_freq,
        "seed": seed,
        "num_workers": 0,
        "required_batch_size_multiple": 1,
        "validate_interval": 10**9,
        "save_interval": 10**9,
        "validate_interval_updates": validate_every,
        "save_interval_updates": validate_every,
        "keep_interval_updates": 1,
        "no_epoch_checkpoints": True,
        "patience": patience if patience else None,
    }

