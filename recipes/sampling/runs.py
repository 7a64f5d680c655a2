"""The runs of an analysis: which bodies, in which arms, with which embeddings, on which blocks; all checked beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import locate
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import ELECTRA, Body
from pretrain.artefacts.tensors import fingerprint
from pretrain.base.errors import UserError
from pretrain.base.files import require_folder
from pretrain.base.vocabulary import Vocabulary
from pretrain.data import Blocks, MappedTokens


@dataclass(frozen=True)
class Run:
    """One trained pair."""

    arm: str
    name: str
    body_path: Path
    embedding_path: Path
    head: str
    record: dict[str, Any]
    """What the summary says about it."""


def parse(text: str) -> tuple[str, Path]:
    """`NAME=DIR` or `DIR` -> (arm, folder); the arm of a bare folder is its name.

    Raises:
        UserError: an empty name or folder.
    """
    name, mark, folder = text.partition("=")
    if not mark or Path(text).exists():
        path = Path(text)
        named = path.resolve()
        return (named.parent if named.name == "body" else named).name, path
    if not name or not folder:
        raise UserError(f"--body {text!r}: expected NAME=DIR or DIR")
    return name, Path(folder)


def load_runs(bodies: Sequence[str], embeddings: Sequence[str] = ()) -> list[Run]:
    """Every run's record, arms in the order in which they are first named, runs of an arm in the order given.

    Args:
        bodies: `NAME=DIR` or `DIR` each.
        embeddings: one per body in the same order; beside the bodies where empty.

    Raises:
        UserError: a body that is no pair, an embedding that does not fit, a run that stands twice, or an arm of
            different hardness heads.
    """
    if embeddings and len(embeddings) != len(bodies):
        raise UserError(f"--embedding: expected one for each --body and in their order, {len(bodies)}, got {len(embeddings)}; or "
                        "leave it out to take the one beside each body")
    given = [parse(text) for text in bodies]
    names = [str(path) for _, path in given]
    found: list[Run] = []
    seen: dict[tuple[str, str], str] = {}
    for number, (arm, path) in enumerate(given):
        body_path = locate(path, "body")
        embedding_path = locate(embeddings[number] if embeddings else path, "embedding")
        body = Body.load(body_path)
        check_pair(body, str(path))
        embedding = Embedding.load(embedding_path)
        try:
            check_compatible(body, embedding)
        except UserError as error:
            raise UserError(f"{embedding_path}: does not fit {path}: {error}") from None
        assert body.generator is not None
        identity = body.fingerprint, fingerprint(embedding.tensors)
        if identity in seen:
            raise UserError(f"{path}: is the same pair as {seen[identity]}; a run counts once")
        seen[identity] = names[number]
        same = [run for run in found if run.arm == arm]
        if same and same[0].head != body.generator.hardness:
            raise UserError(f"{path}: its hardness head is {body.generator.hardness!r}, that of {same[0].name} in the same arm "
                            f"{arm!r} is {same[0].head!r}; give it an arm of its own")
        recipe = body.recipe
        found.append(Run(arm, names[number], body_path, embedding_path, body.generator.hardness, {
            "arm": arm, "run": names[number], "body": str(body_path), "body_fingerprint": identity[0],
            "embedding": str(embedding_path), "embedding_fingerprint": identity[1], "language": embedding.language,
            "hardness_head": body.generator.hardness, "tying": body.generator.tying, "seed": body.made.get("seed"),
            "updates": body.made.get("updates"), "positions": body.config.max_positions,
            "focal_gamma": recipe.get("focal_gamma", 0.0) if recipe else None,  # recorded where it is not 0
            "hardness_mixture": recipe.get("hardness_mixture") if body.generator.hardness != "none" else None,
            **{key: recipe.get(key) for key in (
                "tokens_per_sample", "mask_prob", "mask_policy", "rtd_weight")}}))
    order = list(dict.fromkeys(run.arm for run in found))
    return sorted(found, key=lambda run: order.index(run.arm))


def check_pair(body: Body, place: str) -> None:
    """Raises UserError where the body has no discriminator with a generator."""
    if body.backbone != ELECTRA:
        raise UserError(f"{place}: is a {body.backbone} body, which neither samples nor detects replacements; expected the "
                        "output of pre-training an ELECTRA pair (recipes/pretrain/*electra*.yaml)")
    if body.generator is None:
        why = f"a task body ({body.task['name']})" if body.task else "pre-trained without a generator network"
        raise UserError(f"{place}: has no generator (generator.safetensors): it is {why}; name the pre-trained pair")


def load_blocks(data: str | Path, split: str, runs: Sequence[Run], tokens: int = 0) -> Blocks:
    """The blocks of a split that every run reads, the last one padded.

    Args:
        tokens: length of a block; 0: what the runs were trained on, the least of them.

    Raises:
        UserError: no such text, another vocabulary than a run's embedding has, or more tokens than a body has positions.
    """
    folder = require_folder(data, "prepared text (a folder written by `relexify prepare`)")
    vocabulary = Vocabulary.load(folder / "dict.txt")
    for run in runs:
        symbols = Tokenizer.load(run.embedding_path).vocabulary.symbols
        if symbols != vocabulary.symbols:
            raise UserError(f"{folder / 'dict.txt'}: its {len(vocabulary)} symbols are not the {len(symbols)} of "
                            f"{run.embedding_path} ({run.record['language']}); take text prepared with that embedding's "
                            "tokenizer (relexify prepare … --tokenizer)")
    least = min(runs, key=lambda run: run.record["positions"])
    if tokens > least.record["positions"]:
        raise UserError(f"--tokens-per-sample {tokens} exceeds the {least.record['positions']} positions of {least.name}; "
                        "lower it")
    length = tokens or min(size for run in runs for size in (run.record["tokens_per_sample"], run.record["positions"]) if size)
    mapped = MappedTokens(folder / split)
    mapped.check_ids(len(vocabulary))
    return Blocks(mapped, length, keep_last=True)
