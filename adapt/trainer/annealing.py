"""What happens between the updates of an adaptation whose rate is sought (`--lr auto`) or that has several budgets.

Everything is a function of the number of completed updates and of `lr.json`, where the rate that was found is kept: a run that is
resumed goes on as if it had never been cut off.
"""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adapt.schedule import Annealed, scaled
from adapt.trainer import lr_search
from adapt.trainer.lr_search import Found
from pretrain.base.errors import UserError
from pretrain.base.files import read_json, write_json
from pretrain.base.vocabulary import SPECIALS

logger = logging.getLogger(__name__)

TEST = 2**40
"""Number of the first update of the range test in the keys of random draws: no training comes near it."""
HELD_OUT_BATCHES = 32
"""Of the range test, at most."""


class Annealing:
    """One run whose rate is sought, or several runs one after the other, each from the same start.

    Args:
        lengths: updates of each run.
        peak: peak learning rate; 0: to be found.
        warmup: updates of warm-up of each run; -1: a tenth.
        lr_file: where the rate that was found is kept.
        clip: ceiling of the gradient norm.
    """

    def __init__(self, lengths: tuple[int, ...], peak: float, warmup: int, lr_file: str, clip: float):
        if not peak and not lr_file:
            raise UserError("--lr 0 (auto) needs --lr-file: where the rate that was found is kept")
        self.lengths, self.peak, self.warmup, self.lr_file, self.clip = lengths, peak, warmup, lr_file, clip
        self.curve: Annealed | None = None
        self.start: dict[str, torch.Tensor] = {}

    def remember(self, model: Any) -> None:
        """Keeps the start of a model that has just been built; before any checkpoint is read."""
        self.start = {name: parameter.detach().cpu().clone() for name, parameter in model.named_parameters()
                      if parameter.requires_grad}

    def begin_update(self, task: Any, model: Any, criterion: Any, optimizer: Any, updates: int, sample: Any) -> int | None:
        """What comes before the update after `updates` completed ones; harmless when called again.

        Returns:
            the index of the run that has ended here and whose embedding is still in the model, else None. The caller then saves
            it and calls `restart`.
        """
        again, task.begun = task.begun == updates, updates  # `begun` is in the checkpoint: after a resume it may be the same
        if again and self.curve is not None:
            return None
        if self.curve is None:
            peaks = (self.peak,) * len(self.lengths)
            if not self.peak:
                found = self.found(task, model, criterion, optimizer, updates, sample)
                peaks = scaled(found["rate"], found["updates"], self.lengths)
            self.curve = Annealed(self.lengths, peaks, self.warmup)
        optimizer.schedule = self.curve
        optimizer.set_lr(self.curve.at(updates))
        return self.curve.run_of(updates) - 1 if updates in self.curve.starts[1:] and not again else None

    def restart(self, model: Any, optimizer: Any) -> None:
        """Puts the start back, without moments."""
        parameters = []
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in self.start:
                    parameter.copy_(self.start[name])
                    parameters.append(parameter)
        optimizer.forget_state(parameters)

    def found(self, task: Any, model: Any, criterion: Any, optimizer: Any, updates: int, sample: Any) -> dict[str, Any]:
        """The record of the range test, which is made where there is none."""
        place = Path(self.lr_file)
        if place.exists():
            return dict(read_json(place, "the learning rate that was found"))
        if updates:
            raise UserError(f"{place}: expected the learning rate that this run found before its {updates:,} updates, found no "
                            "such file; delete the training folder to start anew")
        found = find_rate(task, model, criterion, optimizer, len(sample["tokens"]), min(lr_search.UPDATES, max(self.lengths)),
                          self.clip)
        logger.info(f"learning rate {found.rate:g}: {found.why}")
        if not (torch.distributed.is_initialized() and torch.distributed.get_rank()):
            write_json(place, found.to_dict())
        return found.to_dict()


def held_out(task: Any, model: Any, criterion: Any, size: int, device: torch.device, most: int = 10**9) -> list[dict[str, Any]]:
    """What the criterion logs on the held-out text, in batches of `size` blocks, at most `most` of them."""
    dataset = task.datasets["valid"]
    logged = []
    model.eval()
    criterion.eval()
    with torch.no_grad():
        for start in range(0, min(len(dataset), most * size), size):
            batch = dataset.collater(list(range(start, min(start + size, len(dataset)))))
            logged.append(criterion(model, {**batch, "tokens": batch["tokens"].to(device)})[2])
    model.train()
    criterion.train()
    return logged


def bits(logged: list[dict[str, Any]]) -> float:
    """Mean loss in bits of what `held_out` gives."""
    loss, count = (sum(float(log[name]) for log in logged) for name in ("loss", "sample_size"))
    return loss / count / math.log(2)


def find_rate(task: Any, model: Any, criterion: Any, optimizer: Any, size: int, updates: int, clip: float) -> Found:
    """The range test on the text of a task; model, optimizer and random generators are as before afterwards.

    Args:
        size: blocks of a batch.
        updates: of each rate.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = parameters[0].device
    tables = [table for table in model.lexicon().tables if table.requires_grad]
    dataset, update = task.datasets["train"], task.update
    order = np.resize(np.random.default_rng([task.cfg.seed, TEST]).permutation(len(dataset)), updates * size)
    batches = [dataset.collater(part.tolist()) for part in order.reshape(updates, size)]
    batches = [{**batch, "tokens": batch["tokens"].to(device)} for batch in batches]
    blocks = [batch["tokens"] for batch in batches]

    def loss_of(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        task.update = TEST + number
        loss, count, _ = criterion(model, batches[number])
        return loss, count

    def loss() -> float:
        return bits(held_out(task, model, criterion, size, device, HELD_OUT_BATCHES))

    scaler = getattr(optimizer, "scaler", None)
    scale = scaler.loss_scale if scaler is not None else None
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # the training draws as if there had been no test
        start = loss()
        permuted = min(lr_search.permuted_losses(tables, slice(len(SPECIALS), -1), loss))
        with torch.no_grad():
            reference = [float(part) / float(count) for part, count in map(loss_of, range(updates))]
        tried: list[lr_search.Tried] = []
        for rate in lr_search.RATES:
            tried.append(lr_search.try_rate(rate, parameters, tables[0], blocks, optimizer, loss_of, reference, clip, loss))
            if not tried[-1].loss <= lr_search.WORSE * min(one.loss for one in tried):
                break
    if scaler is not None:
        scaler.loss_scale = scale
    task.update = update
    return lr_search.choose(start, permuted, tried, updates)
