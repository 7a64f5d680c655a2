"""What the fairseq data sets of all task families share."""

from typing import Any

import numpy as np
from fairseq.data import FairseqDataset
from numpy.typing import NDArray

from tasks.distillation.student import Lesson, read_training
from tasks.encoding import shuffled_by_length


def read_split(task: Any, split: str, files: list[str], training: bool) -> Any:
    """The examples of a split; of the training split those that the run learns from."""
    if not training:
        return task.definition.read(task.cfg.data, split, task.language, files)
    return task.subset.of(read_training(task.definition, task.cfg.data, task.language, files, task.distillation))


def lesson_of(task: Any, examples: Any, training: bool) -> Lesson | None:
    """What the task's teacher says of its training examples; its criterion finds it as `task.lesson`."""
    if training and task.distillation is not None:
        task.lesson = task.distillation.learn(task.definition, examples, task.language, task.head)
        return task.lesson  # type: ignore[no-any-return]
    return None


class EncodedDataset(FairseqDataset):
    """What fairseq asks of items that are encoded already and known by their number.

    Attributes:
        sizes: tokens of each item [N].
        epoch: from 1.
    """

    sizes: NDArray[np.int64]
    epoch: int = 1

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> int:
        return int(index)

    def num_tokens(self, index: int) -> int:
        return int(self.sizes[index])

    def size(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: Any) -> Any:
        return self.sizes[indices]

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def filter_indices_by_size(self, indices: Any, max_sizes: Any) -> Any:
        """All of them: inputs were cut to size when they were encoded."""
        return indices, []

    def prefetch(self, indices: Any) -> None:
        """Nothing to do: everything is encoded already."""


class ItemDataset(EncodedDataset):
    """Items whose training order is drawn from (seed, epoch) alone.

    Args:
        sizes: tokens of each item [N].
        shuffle: a training set: another order in each epoch, neighbours of similar length.
    """

    def __init__(self, sizes: NDArray[np.int64], seed: int, shuffle: bool):
        super().__init__()
        self.sizes, self.seed, self.shuffle = sizes, seed, shuffle

    def ordered_indices(self) -> Any:
        if not self.shuffle:
            return np.argsort(self.sizes, kind="stable")
        return shuffled_by_length(self.sizes, self.seed, self.epoch)

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self.shuffle
