"""Running one training stage: composes the `fairseq-train` line, runs it, shows progress, resumes after a kill.

A stage trains in `OUTPUT.training/` (checkpoints, log) and writes its artefact to `OUTPUT` only when it is done, so an
existing OUTPUT is always whole. A second run with the same settings goes on where the first was cut off, be it in training,
which never takes a step too many, or in what comes after (docs/reliability.md).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from zipfile import is_zipfile

from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.disk import make_folder
from pretrain.base.errors import UserError
from pretrain.base.files import COMMITTING, atomic_folder, cleaning, read_json, refuse_existing, training_folder, write_json
from pretrain.base.leash import PARENT, leashed
from pretrain.base.locks import claimed, sweep_files
from pretrain.base.notices import logged_warning, warn
from pretrain.training_log import parse_log_line

REPOSITORY = Path(__file__).resolve().parent.parent



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
        defaults: what settings have that `settings` leaves out, for messages.
        threads: CPU threads of the training process; 0 leaves the choice to torch.
        processes: training processes (GPUs) of a machine, started by torchrun where more than one.
        nodes: machines; of more than one each runs torchrun, started by srun inside a Slurm allocation of that many.
        patience: validations without a better loss that end the training; 0: it goes on to the last update.
        kind: what the output is (`pretrain.base.kinds`): with `overwrite` it replaces nothing else.
        lock_wait: seconds to wait for another process that is making the same output.
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
    patience: int = 0
    kind: str = ""
    lock_wait: float = 10.0
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what fairseq's configuration would take for a reference or an escape, in paths above all."""
        for word in (*self.command[1:], str(self.folder)):
            if "${" in word or "\\'" in word or word.endswith("\\"):
                raise UserError(f"{word}: fairseq takes ${{, a backslash at the end and one before a quote for its own; rename "
                                "that folder, or lead a link of another name to it")

    @property
    def ranks(self) -> int:
        """Training processes in all."""
        return self.processes * self.nodes

    @property
    def folder(self) -> Path:
        """Where the stage trains: checkpoints, log, settings."""
        return training_folder(self.output)

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

    @contextmanager
    def claimed(self) -> Iterator[IO[bytes]]:
        """Keeps every other process away from the output, from before the training until the artefact is there.

        Raises:
            UserError: another process is making it, or it exists and may not be replaced.
        """
        if not self.committed:
            refuse_existing(self.output, self.overwrite, self.kind)
        with claimed(self.output, self.lock_wait) as lock:
            if not self.committed:  # again: another may have made it meanwhile
                refuse_existing(self.output, self.overwrite, self.kind)
            yield lock

    def run(self) -> Path:
        """Trains to the end and returns the training folder. Where it was trained to the end before, nothing is done.

        Raises:
            UserError: existing output, other settings than the run that was cut off, or a mistake that the training
                process reported.
        """
        self._check_devices()
        if self.nodes > 1 and int(os.environ.get("SLURM_JOB_NUM_NODES", "1")) < self.nodes:
            found = os.environ.get("SLURM_JOB_NUM_NODES", "none")
            raise UserError(f"nodes={self.nodes}: expected a Slurm allocation of {self.nodes} nodes, found {found}; start it by "
                            f"sbatch --nodes={self.nodes}, or set nodes=1")
        with self.claimed() as lock:
            self._check_settings()
            sweep_files(self.folder)
            if not self.trained:
                self._train(lock)
        return self.folder

    @property
    def trained(self) -> bool:
        """Whether the last checkpoint is the end of the training: all updates done, or patience at its end.

        fairseq looks at both only after a step, so a training that is over must not be started again.
        """
        last = self.folder / "checkpoint_last.pt"
        if not last.exists():
            return False
        state = load_checkpoint(last)
        if int(state["optimizer_history"][-1]["num_updates"]) >= self.updates:
            return True
        waited = [value.get("num_runs", 0) for value in (state.get("extra_state") or {}).values() if isinstance(value, dict)]
        return 0 < self.patience <= max(waited, default=0)

    def _train(self, lock: IO[bytes]) -> None:
        env = {**os.environ, **self.environment}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), env.get("PYTHONPATH", "")]))
        env.setdefault("PYTHONWARNINGS", "ignore")
        env["PYTHONSAFEPATH"] = "1"  # a `random.py` where the user stands is no module of ours
        if self.nodes == 1:
            env[PARENT] = str(os.getpid())
        if self.threads:
            env.update(OMP_NUM_THREADS=str(self.threads), MKL_NUM_THREADS=str(self.threads))
        log = self.folder / "train.log"
        tail: deque[str] = deque(maxlen=25)
        launch = [sys.executable, "-m", "fairseq_cli.train"]
        if self.ranks > 1:
            launch = [*self.launcher(sys.executable, "-m", "torch.distributed.run"), *launch[1:]]
        # srun and torchrun end what they have started when they are asked to, not when they are killed
        words = leashed([*launch, *self.words()[1:]], signal.SIGTERM if self.ranks > 1 else signal.SIGKILL)
        # the training writes its log itself: what it has said by the time of a checkpoint stays, whoever is killed
        with open(log, "ab") as file:
            if not _ends_line(log):
                file.write(b"\n")
                file.flush()
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, env=env,
                                     pass_fds=[lock.fileno()])
        try:
            said = self._follow(child, log, tail)
            code = child.wait()
        except BaseException:
            child.terminate() if self.ranks > 1 else child.kill()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise
        if code:
            for line in reversed([*tail, *said]):
                if line.startswith("relexify: error: "):
                    raise UserError(line.removeprefix("relexify: error: ").strip())
            raise RuntimeError(f"{self.name}: fairseq-train ended with code {code}; the log is {log}\n" + "".join(tail))

    @property
    def committed(self) -> bool:
        """Whether the output is what this stage has made, and only cleaning up is left."""
        return cleaning(self.output)

    @contextmanager
    def artefact(self) -> Iterator[Path]:
        """A temporary folder to write the artefact into; it becomes the output, see `atomic_folder`. To be called while the
        stage is claimed."""
        with atomic_folder(self.output, self.overwrite) as target:
            yield target
            found = target.stat()
            write_json(self.folder / COMMITTING, {"device": found.st_dev, "inode": found.st_ino})

    def clean_up(self, keep: bool = False) -> None:
        """The last step, after the artefact has been written.

        Args:
            keep: leave the training folder.
        """
        if keep:
            (self.folder / COMMITTING).unlink(missing_ok=True)
        else:
            self.discard()

    def discard(self) -> None:
        """Removes the training folder. A kill in the middle leaves it under a name that the next run of the output removes."""
        if not self.folder.is_dir():
            return
        aside = tempfile.mkdtemp(prefix=f".{self.output.name}.", suffix=".tmp", dir=self.output.parent)
        os.replace(self.folder, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _check_settings(self) -> None:
        path = self.folder / "settings.json"
        settings = json.loads(json.dumps(self.settings))
        if path.exists() and (changed := changes(read_json(path), settings, self.defaults)):
            if any(one.suffix == ".pt" or one.is_dir() for one in self.folder.iterdir()):
                raise UserError(f"{self.folder}: holds an unfinished run with other settings ({changed}); "
                                "repeat them to resume, or delete that folder to start anew")
            self.discard()  # it came to nothing, as with a mistake that is mended now
        if not path.exists():
            make_folder(self.folder)
            write_json(path, settings)
        last = self.folder / "checkpoint_last.pt"
        if last.exists() and not is_zipfile(last):  # torch's checkpoints are zip files, whose directory comes last
            raise UserError(f"{last}: the checkpoint is cut short or damaged ({last.stat().st_size:,} bytes); copy another "
                            "checkpoint of this folder over it, or delete the folder to start anew")

    def _follow(self, child: subprocess.Popen[bytes], log: Path, tail: deque[str]) -> list[str]:
        """Shows what the log says, warnings included, until the training ends; returns the last lines of its standard error."""
        from tqdm import tqdm

        said: deque[str] = deque(maxlen=100)
        reader = threading.Thread(target=_copy_errors, args=(child.stderr, log, said), daemon=True)
        with tqdm(total=self.updates, desc=self.name, unit="update", disable=self.quiet, mininterval=0.5,
                  dynamic_ncols=True, smoothing=0.1) as bar, open(log, encoding="utf-8", errors="replace") as stream:
            stream.seek(0, os.SEEK_END)
            reader.start()
            begun = ""
            while True:
                ended = child.poll() is not None
                if ended:
                    reader.join(5)
                for line in stream:
                    begun += line
                    if begun.endswith("\n"):
                        tail.append(begun)
                        self._show(bar, begun)
                        begun = ""
                if ended:
                    self._show(bar, begun)  # a last line without an end
                    return list(said)
                time.sleep(0.05)

    def _show(self, bar: Any, line: str) -> None:
        if (text := logged_warning(line)) is not None:
            warn(text)
            return
        tag, stats = parse_log_line(line)
        updates = stats.get("num_updates", stats.get("valid_num_updates"))
        if updates is None:
            return
        step = int(float(updates))
        if bar.n == 0 and step > self.log_interval:
            bar.initial = step - self.log_interval  # a resumed run: the rate counts this session only
        bar.n = max(bar.n, step)
        if tag == "valid":
            bar.set_postfix_str(f"valid loss {stats.get('valid_loss', '?')}", refresh=False)
        bar.update(0)
        bar.refresh()


def _copy_errors(stream: IO[bytes], log: Path, said: deque[str]) -> None:
    """Standard error of a training: into its log, where there is room, and to whom it was started by."""
    for line in stream:
        said.append(line.decode("utf-8", errors="replace"))
        with suppress(OSError), open(log, "ab", buffering=0) as file:
            file.write(line)


def _ends_line(log: Path) -> bool:
    with open(log, "rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def changes(old: Mapping[str, Any], new: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """What differs between the settings of two runs, each with both values; empty where nothing does.

    Args:
        defaults: what settings have that a run does not name.
    """
    def shown(settings: Mapping[str, Any], key: str) -> str:
        return repr(settings[key]) if key in settings else "not set"

    old, new = {**(defaults or {}), **old}, {**(defaults or {}), **new}
    return "; ".join(f"{key} was {shown(old, key)}, now {shown(new, key)}" for key in sorted({*old, *new})
                     if old.get(key) != new.get(key))


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
        "ignore_unused_valid_subsets": True,  # else fairseq looks for others in what a colon leaves of the path of the data
        "validate_interval_updates": validate_every,
        "save_interval_updates": validate_every,
        "keep_interval_updates": 1,
        "no_epoch_checkpoints": True,
        "patience": patience if patience else None,
    }

