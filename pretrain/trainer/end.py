"""A training that is over takes no further step, also under a `fairseq-train` line that is repeated by hand."""

from __future__ import annotations

import logging
from typing import Any

from fairseq.trainer import Trainer

from pretrain.trainer.task import early_stopping

logger = logging.getLogger(__name__)


def stop_at_the_end() -> None:
    """Makes fairseq's trainer leave before a step where all updates are done or patience is at its end.

    fairseq asks both only after a step, so a finished run that is started again would train one update more, which with
    forgetting resets the embedding.
    """
    stock = Trainer.train_step
    if getattr(stock, "stops_at_the_end", False):
        return

    def train_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        most, patience = self.cfg.optimization.max_update, self.cfg.checkpoint.patience
        if 0 < most <= self.get_num_updates() or 0 < patience <= getattr(early_stopping(), "num_runs", 0):
            logger.info(f"this training has ended before, after {self.get_num_updates():,} updates: nothing is left to do")
            raise SystemExit(0)
        return stock(self, *args, **kwargs)

    train_step.stops_at_the_end = True  # type: ignore[attr-defined]
    Trainer.train_step = train_step
