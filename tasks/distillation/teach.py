"""Teachers -> a file of what they say of each example (docs/distillation.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt.artefacts.assemble import check_compatible
from adapt.artefacts.embedding import Embedding
from adapt.artefacts.resources import embedding_of, locate
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.base.language import check_language
from pretrain.base.outputs import making
from pretrain.base.settings import check, option
from tasks.definition import Definition
from tasks.distillation.settings import TeachSettings
from tasks.distillation.soft_labels import SoftLabels, refuse_other, write
from tasks.distillation.teaching import same_examples
from tasks.evaluate import embedding_record, evaluation_device
from tasks.family import EvaluationOptions, Examples
from tasks.heads.model import task_model
from tasks.heads.several import body_for, heads_for
from tasks.registry import get_task


def teach(settings: TeachSettings, overwrite: bool = False, quiet: bool = False) -> SoftLabels:
    """Writes `OUTPUT`: what the teachers say of each example of the split, averaged.

    Raises:
        UserError: an output that may not be replaced; a body that does not do the task, with other labels or of another lineage
            than its embedding; examples that are not the same in the two languages.
    """
    check(settings, option)
    if Path(settings.output).suffix != ".parquet":
        raise UserError(f"--output {settings.output}: expected a file that ends in .parquet")
    refuse_other(settings.output, overwrite)
    with making(settings.output, overwrite):
        made = _taught(settings, quiet)
        write(made, settings.output)
    return made


def _taught(settings: TeachSettings, quiet: bool) -> SoftLabels:
    task = get_task(settings.task)
    teaching = task.teaching()
    device = evaluation_device(settings.device, settings.precision, settings.max_tokens)
    places = _embeddings(settings)
    embeddings = {place: Embedding.load(place) for place in dict.fromkeys(places)}
    language = _language(settings, embeddings)
    options = EvaluationOptions(settings.max_length, settings.stride, settings.max_question)
    evaluations = []
    for name, place in zip(settings.body, places, strict=True):
        body = body_for(Body.load(locate(name, "body")), heads_for(task), name)
        evaluations.append(task.evaluation(body, name, options))
        kind = (evaluations[-1].body.task or {})["head"]
        if kind not in teaching.heads:
            raise UserError(f"{name}: has a head of kind {kind}; of {task.name} teach those of kind {', '.join(teaching.heads)}")
        check_compatible(body, embeddings[place])
    if not getattr(task, "labels", True):  # of the teachers', where the task has none of its own
        task = task.with_labels(labels=(evaluations[0].body.task or {})["labels"])
        teaching = task.teaching()
    examples = task.unlabelled(settings.data, settings.split, language, settings.train_files)
    examples, taught, student = _students(settings, task, examples, language)
    outputs, teachers = [], []
    for number, (name, place, evaluation) in enumerate(zip(settings.body, places, evaluations, strict=True), 1):
        embedding = embeddings[place]
        model = task_model(evaluation.body, embedding, device, settings.precision)
        shown = None if quiet else f"teacher {number} of {len(places)}"
        outputs.append(teaching.outputs(evaluation, model, embedding, examples, settings.max_tokens, shown))
        teachers.append(_record(name, evaluation.body, place, embedding))
    columns = teaching.average(outputs, settings.average, settings.temperature)
    header: dict[str, Any] = {
        "task": task.name, "task_version": task.version, "form": teaching.form, "labels": teaching.labels,
        "temperature": settings.temperature, "average": settings.average, "language": student, "split": settings.split,
        "data": {"files": taught.files, "sha256": taught.sha256(), "examples": len(taught)},
        "read": {"language": language, "files": examples.files, "sha256": examples.sha256()}, "teachers": teachers}
    return SoftLabels(header, teaching.ids(taught), teaching.keys(taught), columns)


def _embeddings(settings: TeachSettings) -> list[Path]:
    """The embedding of each teacher."""
    if len(settings.embedding) > 1 and len(settings.embedding) != len(settings.body):
        raise UserError(f"{len(settings.body)} --body and {len(settings.embedding)} --embedding; give one embedding for all "
                        "bodies, or one for each, in their order")
    given = settings.embedding if len(settings.embedding) > 1 else (*settings.embedding, "")[:1] * len(settings.body)
    return [embedding_of(body, embedding) for body, embedding in zip(settings.body, given, strict=True)]


def _language(settings: TeachSettings, embeddings: dict[Path, Embedding]) -> str:
    """The one language that all teachers read."""
    if settings.source_language:
        return check_language(settings.source_language)
    found = {str(place): embedding.language for place, embedding in embeddings.items()}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{place} is of {code}" for place, code in found.items())
        raise UserError(f"{listed}; the teachers of one file read one language")
    return next(iter(found.values()))


def _students(settings: TeachSettings, task: Definition, examples: Examples, language: str) -> tuple[Examples, Examples, str]:
    """The examples as the teachers read them and as the student does, and the student's language."""
    student = check_language(settings.student_language or language)
    if student == language and not settings.student_files:
        return examples, examples, language
    if student == language:
        raise UserError("--student-file without --student-language: name the language of the student's side")
    teaching = task.teaching()
    if not teaching.parallel:
        raise UserError(f"--student-language {student}: what is taught of {task.name} are places in the text that the teacher "
                        "reads, which a translation has not; assemble the teacher in the student's language instead")
    taught = task.unlabelled(settings.data, settings.split, student, settings.student_files)
    return same_examples(teaching, examples, taught), taught, student


def _record(name: str, body: Body, place: Path, embedding: Embedding) -> dict[str, Any]:
    """What the header says of a teacher."""
    record = body.task or {}
    return {"path": name, "fingerprint": body.fingerprint, "lineage": body.lineage, "task": record.get("name"),
            "head": record.get("head"), "layers": body.config.layers, "width": body.config.width,
            "parameters": sum(tensor.numel() for tensor in body.tensors.values()), "seed": body.made.get("seed"),
            "dev": (record.get("dev") or {}).get("score"), "embedding": embedding_record(place, embedding)["fingerprint"],
            "tokenizer_sha256": embedding.tokenizer.sha256}


def summary(found: SoftLabels, output: str | Path) -> str:
    """Two lines for the terminal."""
    header, count = found.header, len(found.teachers)
    who = f"{count} teachers say ({header['average']} averaged)" if count > 1 else "one teacher says"
    read = header["read"]["language"]
    whom = header["language"] if read == header["language"] else f"{header['language']}, read in {read}"
    return (f"{output}: what {who} of {len(found):,} examples of {header['task']} {header['split']} ({whom})\n"
            f"data {header['data']['sha256'][:12]}, temperature {header['temperature']:g}")
