"""The training languages of one task adaptation: one, or several at once (translate-train-all, multi-source).

Each example is read through its own language's embedding; body and head learn from all of them. A batch is of one language, so an
example meets exactly the model that `assemble` makes of the body and that embedding, tensors that the embedding brings included.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from tasks.definition import Definition
from tasks.distillation.student import Distillation, read_training
from tasks.family import Examples, Training
from tasks.multitask.policy import Policy
from tasks.reading.files import files_of
from tasks.reading.subset import Subset
from tasks.settings import FinetuneSettings
from tasks.training import training_of

SAMPLING = {"proportional": Policy("proportional"), "equal": Policy("round-robin")}
"""How the batches of an epoch are shared out among the languages; an epoch has as many as all their examples make."""


@dataclass
class Source:
    """One language of a training.

    Attributes:
        place: the folder of its embedding.
        family: how the task takes part in training, for this language's examples.
        train_files, dev_files: as named; none: a search in the data.
    """

    language: str
    place: Path
    embedding: Embedding
    family: Training
    train: Examples
    dev: Examples
    train_files: list[str]
    dev_files: list[str]


def sources_of(settings: FinetuneSettings, task: Definition, body: Body,
               distillation: Distillation | None = None) -> dict[str, Source]:
    """Language -> its source, in the order of the embeddings.

    Raises:
        UserError: an embedding that is missing, given twice or of another lineage; a file of none of the languages; data that the
            task does not read.
    """
    embeddings = load_embeddings(settings.body, settings.embedding, body)
    if len(embeddings) > 1:
        for name, value in (("--source-language", settings.source_language), ("--train-embedding", settings.train_embedding),
                            ("--teacher", settings.teacher)):
            if value:
                raise UserError(f"{name} is for a training in one language, and there are {len(embeddings)} embeddings "
                                f"({', '.join(embeddings)}), each read as it is in its own; leave it out")
    elif settings.source_language:
        embeddings = {settings.source_language: next(iter(embeddings.values()))}
    train_files = files_of(settings.train_files, list(embeddings), "--train-file")
    dev_files = files_of(settings.dev_files, list(embeddings), "--dev-file")
    subset = Subset(settings.share, seed=settings.share_seed)
    found = {}
    for code, (place, embedding) in embeddings.items():
        family = training_of(task, body, settings)
        train = subset.of(read_training(task, settings.data, code, train_files[code], distillation))
        dev = task.read(settings.data, settings.dev_split, code, dev_files[code])
        found[code] = Source(code, place, embedding, family, train, dev, train_files[code], dev_files[code])
    return found


def load_embeddings(place: str, given: Sequence[str], body: Body) -> dict[str, tuple[Path, Embedding]]:
    """Language -> folder and embedding, in the order given; none given: the one in or beside the body.

    Args:
        place: of the body, as the user named it.

    Raises:
        UserError: one that is missing or damaged, two of one language, one that does not fit the body.
    """
    found: dict[str, tuple[Path, Embedding]] = {}
    for name in given or ("",):
        path = embedding_of(place, name)
        embedding = Embedding.load(path)
        check_compatible(body, embedding)
        if embedding.language in found:
            raise UserError(f"{found[embedding.language][0]} and {path} are both embeddings of {embedding.language!r}; train "
                            "with one of each language")
        if len(given) > 1 and "," in str(path):
            raise UserError(f"{str(path)!r}: fairseq-train takes a list with commas; rename the folder")
        found[embedding.language] = (path, embedding)
    return found


def digest(hashes: Mapping[str, str]) -> str:
    """One hash for the data of several languages."""
    return hashlib.sha256("".join(f"{code} {one}\n" for code, one in hashes.items()).encode()).hexdigest()


def made_of(sources: Mapping[str, Source], settings: FinetuneSettings, body: str) -> dict[str, Any]:
    """Which embeddings and examples a task body was trained with, for its `made` record; of several languages their sums, and
    under `languages` what is each one's.

    Args:
        body: fingerprint of the body it started from.
    """
    own = {code: {"embedding_language": one.embedding.language, "embedding_fingerprint": one.embedding.record()["fingerprint"],
                  "train_files": one.train.files, "train_examples": len(one.train), "train_dropped": one.train.dropped,
                  "data_sha256": one.train.sha256(), **_adapted(one.embedding)} for code, one in sources.items()}
    every = list(own.values())
    found = every[0] if len(every) == 1 else {
        "embedding_language": "+".join(sources), "train_files": [file for one in every for file in one["train_files"]],
        "train_examples": sum(one["train_examples"] for one in every),
        "train_dropped": sum(one["train_dropped"] for one in every),
        "data_sha256": digest({code: one["data_sha256"] for code, one in own.items()})}
    languages = {code: {**one.family.made(), **own[code]} for code, one in sources.items()}
    return {
        "embedding_language": found["embedding_language"],
        **({name: found[name] for name in ("embedding_fingerprint", "embedding_adapted") if name in found}
           if len(every) == 1 else {}), "body_fingerprint": body,
        "train_files": found["train_files"], "train_examples": found["train_examples"],
        "share": settings.share, "share_seed": settings.share_seed if settings.share < 1 else None,
        "train_dropped": found["train_dropped"], "data_sha256": found["data_sha256"],
        **({"language_sampling": settings.language_sampling, "languages": languages} if len(every) > 1 else {}),
    }


def _adapted(embedding: Embedding) -> dict[str, Any]:
    """How an embedding came about that was adapted to the body, for the record of what learned with it; of others nothing."""
    made = embedding.made
    if made.get("initialiser") in (None, "pre-training"):
        return {}
    return {"embedding_adapted": {"initialiser": made["initialiser"], "updates": made.get("planned_updates", made.get("updates")),
                                  "data_sha256": made.get("data_sha256")}}


def together(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The dev figures of one language as they are; of several as one: the mean score, all examples, each language's own figures.

    The standard error of the mean is that of examples which have nothing to do with each other; translations of one another have,
    and then it is too small.
    """
    every = list(scores.values())
    count = len(every)
    if count == 1:
        return dict(every[0])
    found: dict[str, Any] = {
        "score": sum(one["score"] for one in every) / count,
        "standard_error": math.sqrt(sum(one["standard_error"] ** 2 for one in every)) / count,
        "n": sum(one["n"] for one in every)}
    if all("baseline" in one for one in every):
        what = dict.fromkeys(str(one["baseline"]["what"]) for one in every)
        found["baseline"] = {"score": sum(one["baseline"]["score"] for one in every) / count, "what": "; ".join(what)}
    found["files"] = [file for one in every for file in one["files"]]
    found["data_sha256"] = digest({code: one["data_sha256"] for code, one in scores.items()})
    return {**found, "languages": {code: dict(one) for code, one in scores.items()}}


def in_common(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of these records say alike; of numbers that differ, such as a threshold that was chosen, the mean."""
    found = {}
    for name, value in records[0].items():
        values = [one.get(name) for one in records]
        if all(one == value for one in values):
            found[name] = value
        elif all(isinstance(one, float) for one in values):
            found[name] = math.fsum(values) / len(values)  # type: ignore[arg-type]
    return found
