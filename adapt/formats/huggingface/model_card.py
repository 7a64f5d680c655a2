"""The README.md of an exported model: the hub's YAML head and what the records of body and embedding say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body

_HUB = "hf:"
_LICENSE = "license"


def _found(record: Any, wanted: str) -> Iterator[str]:
    """Texts in nested records: hub names where `wanted` is `hf:`, else the values of that key."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            if isinstance(value, str) and (key == wanted or (wanted == _HUB and value.startswith(_HUB))):
                yield value
            yield from _found(value, wanted)


def metadata(body: Body, embedding: Embedding, pipeline: str, license_name: str = "") -> dict[str, Any]:
    """The YAML head: only what the records say.

    `base_model` are the hub models that the body was made from, `license` what was named or recorded, `datasets` the data of
    the task, `metrics` what its development split was scored with.

    Args:
        pipeline: transformers' name of the task; empty for none.
    """
    code = embedding.language.split("-")[0]
    head: dict[str, Any] = {"library_name": "transformers", "language": [code]}
    if code != embedding.language:
        head["language_bcp47"] = [embedding.language]
    if pipeline:
        head["pipeline_tag"] = pipeline
    head["tags"] = ["relexify"]
    bases = list(dict.fromkeys(name.removeprefix(_HUB).partition("@")[0] for name in _found(body.made, _HUB)))
    if bases:
        head["base_model"] = bases
    known = license_name or next(_found(body.made, _LICENSE), "")
    if known:
        head["license"] = known
    task = body.task
    if task is not None:
        head["datasets"] = [task["name"]]
        if task.get("metric"):
            head["metrics"] = [task["metric"]]
        dev = task.get("dev") or {}
        if "score" in dev and task.get("metric"):
            head["model-index"] = [{"name": f"{task['name']} {embedding.language}", "results": [{
                "task": {"type": pipeline},
                "dataset": {"name": task["name"], "type": task["name"], "split": dev["split"],
                            "args": {"language": dev.get("language", "")}},
                "metrics": [{"type": task["metric"], "value": dev["score"]}]}]}]
    return head


def card(body: Body, embedding: Embedding, architecture: str, pipeline: str, license_name: str = "") -> str:
    """The whole README.md; arguments as in `metadata`.

    Args:
        architecture: the class of transformers that opens it.
    """
    import yaml

    from pretrain.artefacts.tensors import fingerprint

    head = yaml.safe_dump(metadata(body, embedding, pipeline, license_name), sort_keys=False, allow_unicode=True)
    rows = [("class", f"`{architecture}`"), ("language", embedding.language),
            ("rows of the vocabulary", f"{len(embedding.weight):,}"), ("body", f"`{body.fingerprint}`"),
            ("lineage of the body", f"`{body.lineage}`"), ("embedding", f"`{fingerprint(embedding.tensors)}`")]
    if body.task is not None:
        rows.insert(1, ("task", f"{body.task['name']} {body.task.get('version', '')}".strip()))
        dev = body.task.get("dev") or {}
        if "score" in dev:
            rows.append((f"{body.task.get('metric', 'score')} on {dev['split']} ({dev.get('language', '')}), which chose the "
                         "checkpoint", f"{dev['score']:.4f}, n = {dev.get('n', 0):,}"))
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    return f"""---
{head}---

# {architecture} for `{embedding.language}`

One body and one language's embedding module, put together and written for transformers. Other languages of the same body are
exported the same way.

| | |
|---|---|
{table}
"""
