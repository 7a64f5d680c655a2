"""A submission to GLUE: one table a test set, in the layout that gluebenchmark.com documents ("How do I submit?").

Each file has the header `index TAB prediction`, then a line for each example in the order of the test file. Tasks of inference
write the label's name, the others 0 and 1, STS-B its value between 0 and 5. All files go into one zip archive, without folders.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.text.windows import MAX_TOKENS
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError, unknown
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes
from tasks.evaluate import evaluation_device
from tasks.family import EvaluationOptions
from tasks.heads.model import task_model
from tasks.registry import get_task


@dataclass(frozen=True)
class Entry:
    """One file of a submission.

    Attributes:
        split: of the task, whose labels were never published.
        body_of: the task that the body was trained on.
        numbers: labels are written as their numbers, not their names.
    """

    file: str
    task: str
    split: str
    body_of: str
    numbers: bool = False


ENTRIES = (
    Entry("CoLA.tsv", "cola", "test", "cola", numbers=True), Entry("SST-2.tsv", "sst2", "test", "sst2", numbers=True),
    Entry("MRPC.tsv", "mrpc", "test", "mrpc", numbers=True), Entry("STS-B.tsv", "stsb", "test", "stsb"),
    Entry("QQP.tsv", "qqp", "test", "qqp", numbers=True), Entry("MNLI-m.tsv", "mnli", "test_matched", "mnli"),
    Entry("MNLI-mm.tsv", "mnli", "test_mismatched", "mnli"), Entry("QNLI.tsv", "qnli", "test", "qnli"),
    Entry("RTE.tsv", "rte", "test", "rte"), Entry("WNLI.tsv", "wnli", "test", "wnli", numbers=True),
    Entry("AX.tsv", "ax", "test", "mnli"),
)
ARCHIVE = "submission.zip"
DECIMALS = 3
"""Of STS-B's values."""


def lines_of(predicted: Any, ids: list[str], entry: Entry) -> list[str]:
    """The lines of a file: `predicted` as its family gives it (names of labels, or values), and the test set's own index."""
    task: Any = get_task(entry.task)
    if isinstance(predicted, np.ndarray):
        low, high = task.span
        shown = [f"{value:.{DECIMALS}f}" for value in np.clip(predicted, low, high)]
    else:
        shown = [str(task.labels.index(name)) if entry.numbers else name for name in predicted]
    return ["index\tprediction", *(f"{index}\t{text}" for index, text in zip(ids, shown, strict=True))]


@makes("a submission")
def write(bodies: Mapping[str, str], embedding: str | Path, data: str, output: str | Path, device: str = "auto",
          overwrite: bool = False, quiet: bool = False, max_tokens: int = MAX_TOKENS) -> list[str]:
    """Predicts GLUE's test sets and writes `OUTPUT/FILE.tsv` for each, and `OUTPUT/submission.zip`.

    Args:
        bodies: task -> folder of its task body; that of `mnli` does both test sets of MNLI and AX.
        data: GLUE's folder, or `hf:nyu-mll/glue`.

    Returns:
        The files of a whole submission for which no body was given.

    Raises:
        UserError: a task that GLUE does not have, a wrong artefact, missing data.
    """
    known = list(dict.fromkeys(entry.body_of for entry in ENTRIES))
    for name in bodies:
        if name not in known:
            raise unknown("task of GLUE", name, known)
    if not bodies:
        raise UserError(f"--body is missing: name at least one as TASK=DIR; tasks: {', '.join(known)}")
    target = evaluation_device(device, "fp32", max_tokens)
    module = Embedding.load(locate(embedding, "embedding"))
    wanted = [entry for entry in ENTRIES if entry.body_of in bodies]
    examples: dict[Entry, Any] = {entry: get_task(entry.task).unlabelled(data, entry.split, module.language) for entry in wanted}
    with atomic_folder(output, overwrite) as folder:
        for name, place in bodies.items():
            body = Body.load(locate(place, "body"))
            model = task_model(body, module, target)
            for entry in (entry for entry in wanted if entry.body_of == name):
                family = get_task(entry.task).evaluation(body, str(place), EvaluationOptions())
                predicted, _ = family.predict(model, [module], examples[entry], max_tokens, None if quiet else entry.file)
                ids = [item.id for item in examples[entry].examples]
                (folder / entry.file).write_text("\n".join(lines_of(predicted, ids, entry)) + "\n", encoding="utf-8")
        with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry in wanted:
                archive.write(folder / entry.file, entry.file)
    return [entry.file for entry in ENTRIES if entry not in wanted]
