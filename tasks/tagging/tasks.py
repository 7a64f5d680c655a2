"""Tagging: one label for each word. PAN-X (named entities), universal parts of speech, CoNLL-2000 chunks, own label sets.

The order of the labels is part of a task, never of a file (docs/artefacts.md). What differs is files, labels and the metric that
follows from them: F1 of whole entities where labels are `O`, `B-TYPE`, `I-TYPE`, else accuracy (`tasks.tagging.scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.definition import Definition, register
from tasks.tagging.data import Sentences, read, read_labels
from tasks.tagging.scores import metric_of

PANX_LANGUAGES = ("af", "ar", "bg", "bn", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
                  "ja", "jv", "ka", "kk", "ko", "ml", "mr", "ms", "my", "nl", "pt", "ru", "sw", "ta", "te", "th", "tl", "tr",
                  "ur", "vi", "yo", "zh")
UDPOS_LANGUAGES = ("af", "ar", "bg", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja",
                   "kk", "ko", "mr", "nl", "pt", "ru", "ta", "te", "th", "tl", "tr", "ur", "vi", "yo", "zh")
SPLITS = ("train", "dev", "test")
UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
        "VERB", "X")
"""The universal part-of-speech tags of Universal Dependencies 2."""
CHUNKS = ("ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP")
"""Chunk types of the CoNLL-2000 shared task (Tjong Kim Sang and Buchholz 2000)."""


def bio(types: Sequence[str]) -> tuple[str, ...]:
    """`O`, then `B-TYPE` and `I-TYPE` of each type."""
    return ("O", *(f"{mark}-{name}" for name in types for mark in "BI"))


@dataclass(frozen=True, kw_only=True)
class TaggingTask(Definition):
    """A tagging task.

    Attributes:
        labels: in the order of the head's outputs; none where the user names them (`with_labels`).
        layout: of the files: `tsv` (word, tab, tag) or `columns` (white space between them; word first, tag last).
    """

    labels: tuple[str, ...]
    layout: str = "tsv"
    heads: tuple[str, ...] = ("tagging",)
    metric: str = "f1"
    criterion: str = "modular_tagging"

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Sentences:
        """The sentences of a split, see `Definition.read`; none is left out, stripped tags are an error."""
        if not self.labels:
            raise UserError(f"--labels is missing: {self.name} has no labels of its own; name a file with one label a line")
        code = self.check(split, language)
        return read(self.name, self.layout, self.labels, str(data), split, code, [str(file) for file in files])


def with_labels(task: Definition, file: str = "", labels: Sequence[str] = ()) -> Definition:
    """The task with the labels that the user names; any other task as it is.

    Args:
        file: one label a line, in the order of the head's outputs.
        labels: or the labels themselves.

    Raises:
        UserError: a task that has labels of its own, or a file that is no list of labels.
    """
    if not file and not labels:
        return task
    if not isinstance(task, TaggingTask) or task.labels:
        raise UserError(f"--labels: {task.name} has labels of its own; leave it out, or take --task conll")
    given = tuple(labels) or read_labels(file)
    return replace(task, labels=given, metric=metric_of(given))


PANX = register(TaggingTask("panx", "rahimi-2019", PANX_LANGUAGES, SPLITS, labels=bio(("PER", "ORG", "LOC"))))
UDPOS = register(TaggingTask("udpos", "ud-2", UDPOS_LANGUAGES, SPLITS, labels=UPOS, metric="accuracy"))
CONLL2000 = register(TaggingTask("conll2000", "1.0", ("en",), SPLITS, labels=bio(CHUNKS), layout="columns"))
CONLL = register(TaggingTask("conll", "1.0", (), SPLITS, labels=(), layout="columns"))
