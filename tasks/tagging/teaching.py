"""How bodies that tag words teach: what each says of every word (docs/distillation.md).

A row is a sentence, found by its words. A word's outputs are those of the head at the word's column, its first piece, in the
teacher's own tokens; the student reads the same words in its own. So tokenizers may differ, and need no alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from pretrain.base.errors import UserError
from tasks.distillation.soft_labels import WORDS, key_of
from tasks.distillation.teaching import Columns, RowTeaching, averaged
from tasks.predict import head_outputs
from tasks.tagging.data import UNTAGGED, Sentences
from tasks.tagging.features import encode_sentences

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from tasks.heads.model import TaskModel
    from tasks.tagging.family import TaggingEvaluation, TaggingTraining
    from tasks.tagging.task import TaggingTask


@dataclass
class TaggingTeaching(RowTeaching):
    """Logits of the task's labels for every word; see `tasks.distillation.teaching.Teaching`."""

    task: TaggingTask
    form: ClassVar[str] = WORDS
    parallel: ClassVar[bool] = False

    def ids(self, examples: Sentences) -> list[str]:
        """Numbers of the sentences: their files name none."""
        return [str(number) for number in range(len(examples))]

    def keys(self, examples: Sentences) -> list[str]:
        return [key_of(*item.words) for item in examples]

    def golds(self, examples: Sentences) -> list[Any]:
        return [None if UNTAGGED in item.tags else item.tags for item in examples]

    def without_gold(self, training: TaggingTraining) -> TaggingTraining:
        return replace(training, gold=False)

    @torch.inference_mode()
    def outputs(self, evaluation: TaggingEvaluation, model: TaskModel, embedding: Embedding, examples: Sentences, max_tokens: int,
                description: str | None) -> list[NDArray[np.float64]]:
        """Of each sentence [words, C], in the order of the task's labels.

        Raises:
            UserError: a teacher with other labels, or outputs that are not finite.
        """
        own = list(evaluation.record["labels"])
        if sorted(own) != sorted(self.task.labels):
            raise UserError(f"the teachers of {self.task.name} have different labels: {', '.join(self.task.labels)}, and "
                            f"{', '.join(own)}; average teachers of the same labels")
        turn = [own.index(label) for label in self.task.labels]
        windows = encode_sentences(embedding.tokenizer, examples.sentences, evaluation.max_length, embedding.language)
        found: list[NDArray[np.float64]] = [np.zeros((0, len(own)))] * len(windows)
        head = evaluation.record["name"]
        for indices, logits_BTC in head_outputs(model, windows.tokens, head, max_tokens, description, "win"):
            for row_TC, index in zip(logits_BTC.double().cpu().numpy(), indices, strict=True):
                found[index] = row_TC[windows.columns[index]][:, turn]
        return np.split(np.concatenate(found), np.cumsum([len(item.words) for item in examples])[:-1])

    def average(self, outputs: Sequence[list[NDArray[np.float64]]], average: str, temperature: float) -> Columns:
        """Of each sentence the numbers of its words beside each other [words * C]; see `averaged`."""
        ends = np.cumsum([len(sentence) for sentence in outputs[0]])[:-1]
        words = averaged([np.concatenate(said) for said in outputs], average, temperature)
        return {name: [sentence.ravel() for sentence in np.split(rows_NC, ends)] for name, rows_NC in words.items()}
