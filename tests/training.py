"""Running `fairseq-train` lines inside the test process (one import of fairseq for all of them)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

PRETRAIN = {
    "task": "modular_mlm", "arch": "modular_roberta_tiny", "criterion": "modular_masked_lm",
    "encoder-layers": 2, "encoder-embed-dim": 16, "encoder-ffn-embed-dim": 32, "encoder-attention-heads": 2,
    "tokens-per-sample": 32, "max-positions": 32, "batch-size": 4, "lr": 3e-3, "warmup-updates": 4, "max-update": 30,
    "optimizer": "modular_adamw", "lr-scheduler": "modular_polynomial", "clip-norm": 0.5, "seed": 5,
}
QUIET = {"num-workers": 0, "log-format": "none", "no-epoch-checkpoints": True, "validate-interval": 10**9,
         "save-interval": 10**9, "cpu": True}


def words(options: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in options.items():
        if value is None or value is False:
            continue
        found.append("--" + key)
        if value is not True:
            found.append(str(value))
    return found


def train(data: Path, save_dir: Path, user_dir: str = "pretrain", base: dict[str, Any] | None = None,
          trainer: Any = None, **options: Any) -> Path:
    """Trains with the options of `base` (default PRETRAIN) and `options`, and returns `save_dir`."""
    import importlib

    import fairseq_cli.train as cli
    from fairseq import options as fairseq_options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    importlib.import_module(f"{user_dir}.trainer.plugin")
    forget_earlier_runs()
    changed = {key.replace("_", "-"): value for key, value in options.items()}
    argv = [str(data), "--save-dir", str(save_dir), *words({**QUIET, **(PRETRAIN if base is None else base), **changed})]
    args = fairseq_options.parse_args_and_arch(fairseq_options.get_training_parser(), argv)
    cli.main(convert_namespace_to_omegaconf(args))
    return save_dir


def train_line(line: list[str], folder: Path) -> Path:
    """Runs a `fairseq-train` line in this process, into another folder."""
    options: dict[str, Any] = {}
    for word in line[2:]:
        if word.startswith("--"):
            name = word[2:]
            options[name] = True
        else:
            options[name] = word
    for name in ("user-dir", "save-dir", "log-format", "log-interval"):
        options.pop(name)
    return train(Path(line[1]), folder, "tasks", {}, **options)


def state(save_dir: Path, name: str = "checkpoint_last.pt") -> dict[str, Any]:
    """The content of a checkpoint."""
    from pretrain.base.checkpoints import load_checkpoint

    return load_checkpoint(save_dir / name)


def forget_earlier_runs() -> None:
    """Drops what fairseq keeps on its functions for the life of the process."""
    import fairseq_cli.train as cli
    from fairseq import checkpoint_utils

    for function, names in ((checkpoint_utils.save_checkpoint, ("best",)), (cli.should_stop_early, ("best", "num_runs"))):
        for name in names:
            if hasattr(function, name):
                delattr(function, name)


@dataclass
class Record:
    """What a training did.

    Attributes:
        steps: of every micro-batch its update, the blocks that it holds, and its loss.
        resets: how often the embedding was reset.
        trainer: fairseq's.
    """

    steps: list[tuple[int, list[int], float]] = field(default_factory=list)
    resets: int = 0
    trainer: Any = None

    def held(self) -> dict[str, Any]:
        """The record with model and optimizer as tensors, for torch.save."""
        return {"model": dict(self.trainer.get_model().state_dict()), "optimizer": self.trainer.optimizer.state_dict()["state"],
                "updates": self.trainer.get_num_updates(), "resets": self.resets, "steps": self.steps}

    def updates(self) -> list[tuple[list[int], float]]:
        """Of each update the blocks, in order, and the sum of the losses."""
        return by_update(self.steps)


def by_update(steps: list[tuple[int, list[int], float]]) -> list[tuple[list[int], float]]:
    """Micro-batches as updates: the blocks of each, sorted, and the sum of the losses."""
    found: dict[int, list[tuple[list[int], float]]] = {}
    for update, blocks, loss in steps:
        found.setdefault(update, []).append((blocks, loss))
    return [(sorted(block for blocks, _ in found[update] for block in blocks), sum(loss for _, loss in found[update]))
            for update in sorted(found)]


@contextmanager
def overflow(updates: int) -> Iterator[None]:
    """The first try at the step after so many updates is skipped, as fp16 does where a gradient overflows; on a CPU.

    fairseq keeps its count, and validates and saves as after any step.
    """
    import torch

    from pretrain.trainer.optimizer import ModularAdamW

    clip, calls = ModularAdamW.clip_grad_norm, iter(range(10**9))

    def clipped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if next(calls) == updates:
            raise OverflowError("of a test")
        return clip(self, *args, **kwargs)

    with patch.object(ModularAdamW, "clip_grad_norm", clipped), patch.object(torch.Tensor, "cuda", lambda tensor: tensor):
        yield


@contextmanager
def recorded() -> Iterator[Record]:
    """Records the trainings within."""
    from fairseq.tasks import FairseqTask
    from fairseq.trainer import Trainer

    from pretrain import forgetting

    record = Record()
    step, reset, build = FairseqTask.train_step, forgetting.reset, Trainer.__init__

    def stepped(self: Any, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
                ignore_grad: bool = False) -> Any:
        result = step(self, sample, model, criterion, optimizer, update_num, ignore_grad)
        if not ignore_grad:  # a rank for which an epoch's end leaves nothing gets a stand-in that does not count
            record.steps.append((update_num, sample["id"].tolist(), float(result[0].detach())))
        return result

    def counted(*args: Any, **kwargs: Any) -> Any:
        record.resets += 1
        return reset(*args, **kwargs)

    def built(self: Any, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        record.trainer = self

    with patch.object(FairseqTask, "train_step", stepped), patch.object(forgetting, "reset", counted), \
            patch.object(Trainer, "__init__", built):
        yield record


def two_ranks(data: Path, folder: Path, runs: dict[str, dict[str, Any]], user_dir: str = "pretrain",
              base: dict[str, Any] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Trains each of `runs` (name -> options beside those of `base`, default PRETRAIN) on two ranks that torchrun starts; of each
    what both ranks did and hold."""
    import json

    import torch

    script = Path(__file__).with_name("two_ranks.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    every = {name: {**(PRETRAIN if base is None else base), **changed} for name, changed in runs.items()}
    run = subprocess.run([*launch, str(script), str(data), str(folder), user_dir, json.dumps(every)], capture_output=True,
                         text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return {name: [torch.load(folder / name / f"rank{rank}.pt") for rank in (0, 1)] for name in runs}
