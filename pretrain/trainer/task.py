"""fairseq task `modular_mlm`: masked language modelling on packed blocks, with active forgetting.

Chen et al. 2023, section 3; docs/design-notes.md.
"""

# fairseq reads the types of config fields at run time: no `from __future__ import annotations` here

import logging
import sys
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.data import FairseqDataset
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.tasks import register_task
from omegaconf import II, MISSING

from pretrain import forgetting
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD, Vocabulary
from pretrain.data import Blocks, MappedTokens
from pretrain.forgetting import Forgetting
from pretrain.masking import Masked, generator_for, mask_tokens
from pretrain.schedule import embedding_rate
from pretrain.segments import draw_segments
from pretrain.settings import PretrainRecipe
from pretrain.trainer.config import check_config, of_settings
from pretrain.trainer.plain import PlainTask

logger = logging.getLogger(__name__)
HEADS = {"lm_head", "hardness_head", "rtd_head"}
"""Parts of a model that `--head-only-updates` lets learn first."""
SEGMENTS = 0x_5E_65
"""Purpose of the draws that cut blocks into segments."""


@of_settings(PretrainRecipe, "blocks")
class BlockTaskConfig(FairseqDataclass):
    """Settings of any task that models blocks of text."""

    data: str = field(default=MISSING, metadata={"help": "folder written by `relexify prepare` (or fairseq-preprocess)"})
    seed: int = II("common.seed")
    max_update: int = II("optimization.max_update")


@of_settings(PretrainRecipe, "forgetting", "scope", "head")
class ModularMLMConfig(BlockTaskConfig):
    """Settings of pre-training."""


class BlockDataset(FairseqDataset):
    """Blocks [T] of one split. Training blocks are shuffled anew in every epoch, from (seed, epoch) alone."""

    def __init__(self, blocks: Blocks, seed: int, shuffle: bool, repeat: int = 1):
        super().__init__()
        self.blocks, self.seed, self.shuffle, self.repeat = blocks, seed, shuffle, repeat
        self.epoch = 1
        self.sizes = np.full(len(blocks) * repeat, blocks.block_size, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.blocks) * self.repeat

    def __getitem__(self, index: int) -> int:
        return int(index)

    def num_tokens(self, index: int) -> int:
        return self.blocks.block_size

    def size(self, index: int) -> int:
        return self.blocks.block_size

    def num_tokens_vec(self, indices: Any) -> Any:
        return self.sizes[indices]

    def collater(self, samples: list[int]) -> dict[str, Any]:
        if not samples:
            return {}
        indices = np.array(samples, dtype=np.int64)
        tokens = torch.from_numpy(self.blocks.batch(indices % len(self.blocks)))
        full = not bool((tokens == PAD).any())
        return {
            "id": torch.from_numpy(indices),
            "tokens": tokens,
            "key": samples[0],
            "full": full,
            "ntokens": tokens.numel() if full else int((tokens != PAD).sum()),
            "nsentences": len(samples),
        }

    def batch_by_size(self, indices: Any, max_tokens: Any = None, max_sentences: Any = None,
                      required_batch_size_multiple: int = 1) -> Any:
        # fairseq's default multiple of 8 makes a split of fewer than 8 equal blocks empty
        return super().batch_by_size(indices, max_tokens, max_sentences, 1)

    def ordered_indices(self) -> Any:
        if not self.shuffle:
            return np.arange(len(self))
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self.shuffle

    def prefetch(self, indices: Any) -> None:
        """Nothing to do: blocks are read from a memory map."""


class BlockTask(PlainTask):
    """Loads blocks and masks them: shared by pre-training and language adaptation."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(BlockTaskConfig, cfg)
        folder = Path(cfg.data)
        self.vocabulary = Vocabulary.load(folder / "dict.txt")
        self.update = 0
        self.begun: int | None = None
        """Completed updates before the update that was begun last; equal to the trainer's own count only after a skipped step."""
        self.forgetting = Forgetting()  # none, unless the task has settings for it

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        path = Path(self.cfg.data) / split
        mapped = MappedTokens(path)
        mapped.check_ids(len(self.vocabulary))
        training = split == "train"
        blocks = Blocks(mapped, self.cfg.tokens_per_sample, keep_last=not training)
        repeat = max(1, -(-self.cfg.epoch_blocks // len(blocks))) if training else 1
        self.datasets[split] = BlockDataset(blocks, self.cfg.seed, shuffle=training, repeat=repeat)
        logger.info(f"{path}: {len(mapped):,} documents, {len(blocks):,} blocks of {self.cfg.tokens_per_sample} tokens"
                    + (f", {repeat} times an epoch" if repeat > 1 else ""))

    def mask(self, sample: dict[str, Any], training: bool) -> Masked:
        """Hides tokens of a batch; the draw depends on (seed, update, batch) only, held-out masks never change."""
        return mask_tokens(sample["tokens"], self.vocabulary.mask, self.draws(sample, training), self.cfg.mask_prob,
                           self.cfg.mask_policy)

    def draws(self, sample: dict[str, Any], training: bool, *purpose: int) -> torch.Generator:
        """Random numbers of a batch, on its device, keyed by (seed, update, batch) and `purpose`; held out, by no update."""
        update = self.update if training else -1
        return generator_for(sample["tokens"].device, self.cfg.seed, update, sample["key"], *purpose)

    def segments(self, sample: dict[str, Any], training: bool) -> torch.Tensor | None:
        """The segment of each token [B, T]; None where the text is read as one."""
        return None

    def train_step(self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
                   ignore_grad: bool = False) -> Any:
        self.update = update_num
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """What fairseq would forget at a restart: how long early stopping has been waiting, and which update was begun.

        A checkpoint after n updates is written before the next is begun. Where fp16 overflows in that next update, fairseq skips
        its step and writes the checkpoint of n once more, after what comes before the update: its reset is in the weights.
        """
        counters = early_stopping()
        kept = {k: getattr(counters, k) for k in ("best", "num_runs") if hasattr(counters, k)}
        return {type(self).__name__: {**kept, **({} if self.begun is None else {"begun": self.begun})}}

    def set_checkpoint_dict(self, state: dict[str, Any]) -> None:
        self.begun = state.get("begun")
        for key in ("best", "num_runs"):
            if key in state:
                setattr(early_stopping(), key, state[key])

    def max_positions(self) -> int:
        return self.cfg.tokens_per_sample


def early_stopping() -> Any:
    """The function on which fairseq keeps its early-stopping counters; `python -m fairseq_cli.train` runs as __main__."""
    function = getattr(sys.modules["__main__"], "should_stop_early", None)
    if function is None:
        import fairseq_cli.train

        function = fairseq_cli.train.should_stop_early
    return function


def unwrap(model: Any) -> Any:
    """The model inside fairseq's wrappers for distributed training (there can be two of them)."""
    while hasattr(model, "module"):
        model = model.module
    return model


@register_task("modular_mlm", dataclass=ModularMLMConfig)
class ModularMLMTask(BlockTask):
    """Pre-training. A new episode begins inside `train_step`, right before update mK + 1."""

    def __init__(self, cfg: Any):
        super().__init__(cfg)
        check_config(ModularMLMConfig, cfg)
        self.forgetting = Forgetting.of(lambda name, default: getattr(cfg, name, default))
        if cfg.forget_every and not cfg.max_update:
            raise UserError("forgetting needs --max-update: an episode is a fraction of the schedule")
        self.forgetting.warnings(cfg.max_update or 1, 0)  # refuses settings that would never forget
        self.two_segments = False
        self._checked = False
        self._lr_embedding: float | None = None

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        self.two_segments = model.encoder.config.segments > 1
        return model

    def segments(self, sample: dict[str, Any], training: bool) -> torch.Tensor | None:
        if not self.two_segments:
            return None
        return draw_segments(sample["tokens"], self.draws(sample, training, SEGMENTS))

    def train_step(self, sample: Any, model: Any, criterion: Any, optimizer: Any, update_num: int,
                   ignore_grad: bool = False) -> Any:
        self.begin_update(unwrap(model), optimizer, update_num)
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def begin_update(self, model: Any, optimizer: Any, updates: int) -> None:
        """What happens between `updates` completed updates and the next one; harmless when called again."""
        if isinstance(optimizer, AMPOptimizer):
            raise UserError("--amp is refused: use --precision fp16 or bf16 (autocast inside the model)")
        if self.cfg.head_only_updates or self.forgetting.hold:
            self._let_learn(model, updates)
        if not self.forgetting.every:
            if set(getattr(optimizer, "scales", [1.0])) != {1.0}:
                self._lr_embedding = optimizer.embedding_lr
            return
        schedule = getattr(optimizer, "schedule", None)
        if schedule is None or not hasattr(optimizer, "forget_state"):
            raise UserError("forgetting needs --optimizer modular_adamw --lr-scheduler modular_polynomial: the embedding "
                            "has its own learning rate and moments")
        if not self._checked:
            for text in self.forgetting.warnings(schedule.total, schedule.warmup):
                logger.warning(text)
            self._checked = True
        optimizer.set_embedding_lr(embedding_rate(schedule, self.forgetting, updates))
        self._lr_embedding = optimizer.embedding_lr
        if self.begun != updates and self.forgetting.begins_episode(updates):
            done = self._begin_episode(model, optimizer, updates)
            if self.forgetting.every > 1:  # else the log would be of nothing else
                logger.info(f"episode {updates // self.forgetting.every + 1} begins after {updates} updates{done}")
        self.begun = updates

    def _let_learn(self, model: Any, updates: int) -> None:
        """Lets all parameters learn, or at first the heads alone, or after a reset what it covered alone."""
        parts = None
        if updates < self.cfg.head_only_updates:
            parts = {id(one) for name, one in model.named_parameters() if HEADS.intersection(name.split("."))}
        elif self.forgetting.holds(updates):
            parts = {id(one) for one in forgetting.covered(model.lexicon(), self.forgetting)}
        for parameter in model.parameters():
            parameter.requires_grad_(parts is None or id(parameter) in parts)

    def _begin_episode(self, model: Any, optimizer: Any, updates: int) -> str:
        """Changes the embedding and its moments as the settings say; returns what was done, in words."""
        wanted, lexicon, seed = self.forgetting, model.lexicon(), self.cfg.seed
        if wanted.reset == "rotate":
            parameters, number = forgetting.covered(lexicon, wanted), wanted.table(updates)
            optimizer.put_away(wanted.table(updates - 1), parameters)
            if not optimizer.take_up(number, parameters):
                if wanted.begun(updates) >= wanted.tables:
                    raise UserError(f"--forget-tables {wanted.tables}: the checkpoint that this training goes on from lacks "
                                    f"table {number}, which was trained before; resume with the tables it began with, and "
                                    "without --reset-optimizer")
                forgetting.draw_lexicon(lexicon, wanted, seed, updates)
            return f": table {number + 1} of {wanted.tables} taken up"
        changed = forgetting.reset_lexicon(lexicon, wanted, seed, updates)
        optimizer.forget_state(changed, forgetting.rows_of(len(lexicon.tables[0]), wanted, seed, updates))
        done = "permuted" if wanted.reset == "permute" else "reset"
        return f": {wanted.part.removeprefix('the ')} {done}" if changed else " (control: nothing reset)"

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        super().reduce_metrics(logging_outputs, criterion)
        if hasattr(criterion, "watch"):
            criterion.watch(logging_outputs)
        if self._lr_embedding is not None:
            metrics.log_scalar("lr_embedding", self._lr_embedding, weight=0, priority=301, round=8)
