"""A checkpoint of task adaptation -> task body: what `relexify finetune` does at its end, for a raw `fairseq-train` line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt.artefacts.split_adapted import recorded, task_of
from pretrain.artefacts.body import HEADS, Body
from pretrain.base.checkpoints import load_checkpoint
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes
from tasks.learning.finetune import LANGUAGES, export, plan
from tasks.settings import FinetuneSettings

TASKS = ("modular_finetune", LANGUAGES)
"""The fairseq tasks whose checkpoints these are: of one training language, and of several."""


def settings_of(config: dict[str, Any], checkpoint: str | Path, output: str | Path, data: str | Path | None = None,
                body: str | Path | None = None, embedding: str | Path | None = None) -> FinetuneSettings:
    """The settings of a run, from the configuration in its checkpoint.

    Args:
        data, body, embedding: to use instead of the paths that the run was given; of several languages the embeddings are those
            of the run.

    Raises:
        UserError: a file of the run that is no longer there.
    """
    task, model = config["task"], config.get("model") or {}
    optimization, optimizer = config.get("optimization") or {}, config.get("optimizer") or {}
    common, scheduler = config.get("common") or {}, config.get("lr_scheduler") or {}
    defaults = FinetuneSettings
    several = task.get("_name") == LANGUAGES
    if several and embedding:
        raise UserError(f"--embedding {embedding}: this run learned from several languages, whose embeddings its checkpoint "
                        f"names ({task['embedding']}); put them there again and leave it out")
    sources = task["embedding"].split(",") if several else [str(embedding or task.get("embedding") or "")]
    sources = [recorded({"embedding": one}, "embedding", None, checkpoint) for one in sources if one]

    def files(name: str) -> tuple[str, ...]:
        return tuple(filter(None, str(task.get(name) or "").split(",")))

    place = str(data or task.get("data") or "")
    return FinetuneSettings(
        body=recorded(task, "body", body, checkpoint), output=str(output), embedding=tuple(sources), task=task["task_name"],
        data=place if place.startswith("hf:") else recorded(task, "data", data, checkpoint),
        train_files=files("train_files"), dev_files=files("dev_files"),
        language_sampling=task.get("language_sampling") or defaults.language_sampling,
        source_language=task.get("source_language") or "", dev_split=task.get("dev_split") or defaults.dev_split,
        updates=int(optimization.get("max_update") or 0), lr=float((optimization.get("lr") or [0.0])[0]),
        warmup=float(scheduler.get("warmup_updates") or 0), batch_size=int((config.get("dataset") or {}).get("batch_size") or 1),
        update_freq=int((optimization.get("update_freq") or [1])[0]), max_length=task.get("max_length") or 0,
        head=task.get("head") or "", labels=task.get("labels") or "", stride=task.get("stride") or 0,
        max_question=task.get("max_question") or 0, train_embedding=bool(task.get("train_embedding")),
        teacher=task.get("teacher") or "", distillation_loss=task.get("distillation_loss") or "", alpha=task.get("alpha") or 0.0,
        temperature=task.get("temperature") or 0.0, share=task.get("share") or 1.0,
        share_seed=task.get("share_seed") or defaults.share_seed,
        dropout=model.get("dropout", defaults.dropout), attention_dropout=model.get("attention_dropout", defaults.dropout),
        weight_decay=optimizer.get("weight_decay", 0.0), clip_norm=optimization.get("clip_norm", 0.0),
        layer_decay=model.get("layer_decay", 1.0), layer_decay_variant=model.get("layer_decay_variant", "paper"),
        adam_betas=str(optimizer.get("adam_betas", defaults.adam_betas)), adam_eps=optimizer.get("adam_eps", defaults.adam_eps),
        precision=model.get("precision", "fp32"), seed=int(common.get("seed") or 1), cpu=bool(common.get("cpu")))


@makes("a task body")
def split_finetuned(checkpoint: str | Path, output: str | Path, data: str | Path | None = None, body: str | Path | None = None,
                    embedding: str | Path | None = None, overwrite: bool = False) -> Body:
    """Writes the task body in a checkpoint of `fairseq-train … --user-dir tasks`, scored on its development split.

    Args:
        data: folder with the task's files; default: the path that the checkpoint records.
        body: the body that was fine-tuned; default likewise.
        embedding: the embedding of the examples; default likewise.

    Raises:
        UserError: no such checkpoint, or files that are not those of the run.
    """
    state = load_checkpoint(checkpoint)
    if task_of(state) not in TASKS:
        raise UserError(f"{checkpoint}: not a checkpoint of task adaptation; expected one that `relexify finetune` or "
                        "`fairseq-train … --user-dir tasks` wrote")
    settings = settings_of(state["cfg"], checkpoint, output, data, body, embedding)
    planned = plan(settings, overwrite, quiet=True)
    shapes = {name: tensor.shape for name, tensor in planned.body.tensors.items()}
    trained = {name: tensor.shape for name, tensor in state["model"].items() if name in shapes}
    wrong = next((name for name, shape in trained.items() if shape != shapes[name]), None)
    if wrong is not None or not any(name.startswith(HEADS) for name in state["model"]):
        what = f"{wrong} is {tuple(trained[wrong])}, there {tuple(shapes[wrong])}" if wrong else "it holds no task head"
        raise UserError(f"{checkpoint}: its tensors do not fit the body {settings.body} ({what}); name the body of this run "
                        "with --body")
    found, learned = export(Path(checkpoint), settings, planned)
    with atomic_folder(output, overwrite) as folder:
        found.save(folder)
        if settings.train_embedding:
            learned.save(folder / "embedding")
    return found
