"""A training checkpoint of pre-training -> Body + Embedding (docs/artefacts.md)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body, check_shape
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.artefacts.tensors import check_finite, check_floats
from pretrain.base.checkpoints import load_checkpoint, updates_of
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_object, write_json
from pretrain.base.records import Record
from pretrain.forgetting import Forgetting
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, VOCABULARY_INDEXED
from pretrain.shapes import encoder_shape, of_trainer, pair_shape
from pretrain.start import read_start


def split(checkpoint: str | Path, output: str | Path, data: str | Path | None = None, made: dict[str, Any] | None = None,
          curve: list[dict[str, float]] | None = None, force: bool = False, overwrite: bool = False,
          training: list[dict[str, float]] | None = None) -> Body:
    """Writes `OUTPUT/body` and `OUTPUT/embedding` from a checkpoint of `fairseq-train … --user-dir pretrain`.

    Args:
        checkpoint: `checkpoint_last.pt` or any other of the run.
        data: the prepared text of the run; default: the path that the checkpoint records.
        made: provenance to record; what the checkpoint itself says where None.
        curve: held-out curve, written as `OUTPUT/curves.json`.
        training: losses and learning rates as logged, written as `OUTPUT/training.json`.
        force: export although the embedding was reset only a moment ago.

    Raises:
        UserError: not such a checkpoint, or the embedding has had less than K/10 updates since its last reset.
    """
    state = load_checkpoint(checkpoint)
    tensors = state["model"]
    config = _settings(state.get("cfg"), f"{checkpoint}: cfg")
    model_config, task_config = (_settings(config.get(name), f"{checkpoint}: cfg.{name}") for name in ("model", "task"))
    electra = "rtd_head.out.weight" in tensors
    if not (electra or EMBEDDING_WEIGHT in tensors) or "encoder_layers" not in model_config:
        raise UserError(f"{checkpoint}: not a pre-training checkpoint of this toolkit; expected one written by "
                        "`relexify pretrain` or `fairseq-train … --user-dir pretrain`")
    updates = updates_of(state, checkpoint)
    forgetting = Forgetting.of(task_config.get)
    since = forgetting.updates_since_reset(updates, _begun(state))
    if forgetting.untrained(updates, _begun(state)) and not force:
        raise UserError(f"{checkpoint}: the embedding was reset {since} updates ago, less than a tenth of an episode of "
                        f"{forgetting.every}: it is hardly trained; export another checkpoint, or pass --force")

    folder = Path(data or task_config["data"])
    language = read_object(folder / "prepare.json", "the record of the data that the run was trained on").language()
    record = dict(made or {"seed": task_config.get("seed"), "forgetting": forgetting.to_dict()})
    if made is None and model_config.get("from_body"):
        record["from"] = read_start(model_config.text("from_body"), model_config.text("from_embedding"), folder).record()
    record.update(updates=updates, updates_since_reset=since)
    if curve:  # of a pair, the losses of the generator and of the discriminator
        record["held_out_loss_bits"] = curve[-1].get("mlm_loss" if electra else "loss")
        if electra:
            record["held_out_rtd_loss_bits"] = curve[-1].get("rtd_loss")
    for name in ("encoder_layers", "encoder_embed_dim", "encoder_attention_heads", "encoder_ffn_embed_dim", "max_positions"):
        model_config.integer(name, 1)
    for name in ("token_embed_dim", "relative_buckets", "relative_distance"):
        model_config.integer(name)
    if "segments" in model_config:
        model_config.integer("segments", 1, 2)
    if electra:
        for name in ("generator", "tying", "hardness_head"):
            model_config.text(name)
        for name in ("generator_width", "generator_depth"):
            model_config.number(name)
    shape = of_trainer(model_config)
    check_floats(tensors, checkpoint, "a checkpoint")
    check_finite(tensors, checkpoint)
    if electra:
        sorted_tensors = sort_tensors(tensors)
        body = pair_body(pair_shape(shape), sorted_tensors, made=record)
        weight, bias, generator = sorted_tensors.weight, sorted_tensors.bias, sorted_tensors.generator_lexicon
    else:
        body = Body(encoder_shape(shape), {k: v for k, v in tensors.items() if k not in VOCABULARY_INDEXED}, made=record)
        weight, bias, generator = tensors[EMBEDDING_WEIGHT], tensors[OUTPUT_BIAS], {}
    check_shape(Path(checkpoint), encoder_shape(shape), body.tensors)
    kept = ("seed", "updates", "updates_since_reset", "held_out_loss_bits", "held_out_rtd_loss_bits", "data_sha256")
    embedding = Embedding(weight, bias, Tokenizer.load(folder), language, body.lineage,
                          {"initialiser": "pre-training", **{k: record[k] for k in kept if k in record}},
                          generator=generator)
    with atomic_folder(output, overwrite) as target:
        body.save(target / "body")
        embedding.save(target / "embedding")
        if curve:
            write_json(target / "curves.json", curve)
        if training:
            write_json(target / "training.json", training)
    return body


def _begun(state: dict[str, Any]) -> Any:
    """After how many completed updates the last update was begun, as far as the checkpoint says so."""
    found: Any = state
    for name in ("extra_state", "ModularMLMTask", "begun"):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _settings(given: Any, place: str) -> Record:
    """Settings that a checkpoint records, with its name in the errors about them."""
    content = vars(given) if isinstance(given, argparse.Namespace) else given
    return Record(content if isinstance(content, dict) else {}, place)
