"""A checkpoint of language adaptation -> Embedding: what `relexify adapt` does at its end, for a raw `fairseq-train` line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.initialise.coverage import of_checkpoint
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.errors import UserError
from pretrain.base.files import read_object, sha256_file
from pretrain.base.outputs import makes

TASK = "modular_adapt"
"""The fairseq task whose checkpoints these are."""


def task_of(state: dict[str, Any]) -> str:
    """Name of the fairseq task that wrote a checkpoint; empty where it does not say."""
    task = (state.get("cfg") or {}).get("task")
    return str(task.get("_name") or "") if isinstance(task, dict) else ""


def recorded(task: dict[str, Any], name: str, given: str | Path | None, checkpoint: str | Path) -> str:
    """A path that a checkpoint's run was given, or the one that the user names instead.

    Raises:
        UserError: neither is there.
    """
    path = str(given or task.get(name) or "")
    if not path or not Path(path).exists():
        raise UserError(f"{checkpoint}: the run's {name} {path!r} is not there (paths are as seen from the folder where it was "
                        f"started); name it with --{name}")
    return path


@makes("an embedding")
def split_adapted(checkpoint: str | Path, output: str | Path, data: str | Path | None = None,
                  body: str | Path | None = None, overwrite: bool = False) -> Embedding:
    """Writes the embedding in a checkpoint of `fairseq-train … --user-dir adapt --task modular_adapt`.

    Args:
        data: prepared text of the run; default: the path that the checkpoint records.
        body: the body it was adapted to; default likewise.

    Raises:
        UserError: no such checkpoint, or files that are not those of the run.
    """
    state = load_checkpoint(checkpoint)
    config = state.get("cfg") or {}
    task = config.get("task") or {}
    if task_of(state) != TASK:
        raise UserError(f"{checkpoint}: not a checkpoint of language adaptation; expected one that `relexify adapt` or "
                        "`fairseq-train … --user-dir adapt` wrote")
    folder = Path(recorded(task, "data", data, checkpoint))
    ours = Body.load(locate(recorded(task, "body", body, checkpoint), "body"))
    tokenizer = Tokenizer.load(folder)
    optimization, dataset = config.get("optimization") or {}, config.get("dataset") or {}
    updates = int(state["optimizer_history"][-1]["num_updates"])
    made: dict[str, Any] = {
        "initialiser": task.get("initialiser"), "special_rows": task.get("special_rows"),
        "seed": (config.get("common") or {}).get("seed"), "updates": updates, "planned_updates": optimization.get("max_update"),
        **of_checkpoint(state)}
    if dataset.get("batch_size") and len(optimization.get("update_freq") or []) == 1:
        made["tokens_per_update"] = dataset["batch_size"] * optimization["update_freq"][0] * task["tokens_per_sample"]
        made["tokens_seen"] = updates * made["tokens_per_update"]
    if task.get("objective"):
        made["objective"] = task["objective"]
    if (folder / "train.bin").is_file():
        made["data_sha256"] = sha256_file(folder / "train.bin")
    language = read_object(folder / "prepare.json", "the record of prepared data").language()
    try:
        embedding = Embedding.of_state(state["model"], ours.backbone, tokenizer, language, ours.lineage, made)
    except (KeyError, UserError) as error:
        raise UserError(f"{checkpoint}: its tensors do not fit {folder} and the body ({error}); name the text and the body of "
                        "this run with --data and --body") from None
    if embedding.width != ours.config.embedding_width:
        raise UserError(f"{checkpoint}: its embedding is {embedding.width} wide, the body takes {ours.config.embedding_width}; "
                        "name the body of this run with --body")
    embedding.save(output, overwrite)
    return embedding
