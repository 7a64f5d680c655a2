"""The records and artefacts below the folders of a run, read without loading a model.

A damaged file becomes a `Problem` that the report shows; everything else is still reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from pretrain.base.errors import UserError
from pretrain.base.files import read_json, require_folder
from pretrain.training_log import read_training
from recipes.report.results.records import STEP, Artefact, Collected, Problem, Score, saved_at

NAMES = ("results.json", "curves.json", "body.json", "embedding.json", "prepare.json", "commands.sh")


def _files(run: Path) -> dict[str, list[Path]]:
    """Paths by name, sorted; hidden folders (unfinished outputs) and `.training` folders are passed over. Links to folders are
    followed (the outputs of `relexify run` stand in a store), each folder once."""
    found: dict[str, list[Path]] = {name: [] for name in NAMES}
    visited: set[str] = set()
    for place, folders, files in os.walk(run, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not name.endswith(".training"))
        for name in set(files) & set(NAMES):
            found[name].append(Path(place) / name)
    return found


def collect(runs: Sequence[str | Path]) -> Collected:
    """Reads all records and artefacts below `runs`.

    Raises:
        UserError: a run that is no folder, or no usable record and no adaptation below any of them.
    """
    folders = list(dict.fromkeys(require_folder(run, "the folder of a run") for run in runs))
    found = Collected(folders)
    seen: set[Path] = set()
    known: set[tuple[Any, ...]] = set()
    for run in folders:
        files = {name: [path for path in paths if path.resolve() not in seen] for name, paths in _files(run).items()}
        seen |= {path.resolve() for paths in files.values() for path in paths}
        for path in [*files["body.json"], *files["embedding.json"]]:
            _artefact(found, path)
        for path in files["prepare.json"]:
            record = _read(found, path)
            if isinstance(record, dict) and isinstance(record.get("files"), dict):
                found.prepared[str(record["files"].get("train.bin"))] = record
        for path in files["commands.sh"]:
            found.commands[path.parent] = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
                                           if line.strip() and not line.lstrip().startswith("#")]
        for path in files["results.json"]:
            _results(found, run, path, known)
    _annealed(found)
    if not found.scores and not any(one.kind == "embedding" and one.curve for one in found.artefacts):
        named = ", ".join(map(str, runs))
        told = f"; the first of {len(found.problems)} problems: " if len(found.problems) > 1 else ": "
        reason = f"{told}{found.problems[0].file}: {found.problems[0].text}" if found.problems \
            else ": no results.json there (`relexify evaluate` writes them), and no adapted embedding"
        raise UserError(f"{named}: nothing to report{reason}")
    _points(found)
    return found


def _annealed(found: Collected) -> None:
    """The curves of adaptations whose budgets were runs of their own: the ends of all of them. Their curves.json has the points
    on the way of the longest alone."""
    embeddings = [one for one in found.artefacts if one.kind == "embedding" and one.made.get("budgets")]
    ends: dict[Path, dict[int, dict[str, Any]]] = {}
    for one in embeddings:
        updates, loss = one.made.get("updates"), one.made.get("held_out_loss_bits")
        if _number(updates) and _number(loss):
            run = one.folder if saved_at(one.folder) is None else one.folder.parent.parent
            ends.setdefault(run, {})[int(updates)] = {"update": updates, "tokens": one.made.get("tokens_seen"), "loss": loss}
    for one in embeddings:
        if saved_at(one.folder) is None:
            one.curve = [point for _, point in sorted(ends.get(one.folder, {}).items())]


def _read(found: Collected, path: Path) -> Any:
    try:
        return read_json(path)
    except (UserError, OSError) as error:
        text = str(error).removeprefix(str(path)).lstrip(": ")
        found.problems.append(Problem(found.shown(path), f"{text}; left out"))
        return None


def _artefact(found: Collected, path: Path) -> None:
    record = _read(found, path)
    if record is None:
        return
    if not isinstance(record, dict) or not isinstance(record.get("fingerprint"), str):
        found.problems.append(Problem(found.shown(path), "no record of an artefact (no fingerprint); left out"))
        return
    kind = "embedding" if path.name == "embedding.json" else "task body" if record.get("task") else "body"
    folder = path.parent
    places = [folder, *([folder.parent] if folder.name == "body" else [])]
    training: list[dict[str, Any]] = []
    if kind == "body":
        training = _points_of(found, places, "training.json")
        real = places[-1].resolve()  # a run may hold links to a store
        log = real.with_name(real.name + ".training")
        if not training and (log / "train.log").is_file():
            training = read_training(log)
    found.add(Artefact(kind, folder, found.shown(folder), record, _points_of(found, places, "curves.json"), training))


def _points_of(found: Collected, places: Sequence[Path], name: str) -> list[dict[str, Any]]:
    """A curve from the first of the folders that has such a file."""
    path = next((place / name for place in places if (place / name).is_file()), None)
    curve = _read(found, path) if path else []
    if path is None or curve is None:
        return []
    if not isinstance(curve, list) or not all(
            isinstance(point, dict) and _number(point.get("update")) and _number(point.get("loss")) for point in curve):
        found.problems.append(Problem(found.shown(path), "expected a list of points with update and loss; left out"))
        return []
    return curve


def _number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _results(found: Collected, run: Path, path: Path, known: set[tuple[Any, ...]]) -> None:
    content = _read(found, path)
    if content is None:
        return
    if isinstance(content, dict) and ("arms" in content or {"cells", "bodies"} <= set(content)):  # a demo's own summary
        return
    if not isinstance(content, list):
        found.problems.append(Problem(found.shown(path), "expected a list of records, as evaluate writes it; left out"))
        return
    for number, record in enumerate(content, 1):
        wrong = _wrong(record)
        if wrong:
            found.problems.append(Problem(found.shown(path), f"record {number}: {wrong}; left out"))
            continue
        try:
            score = _score(found, run, path, record)
            identity = _identity(score)
            hash(identity)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:  # of another type than evaluate writes
            found.problems.append(Problem(found.shown(path), f"record {number}: a value of another type than expected "
                                                             f"({' '.join(str(error).split())}); left out"))
            continue
        if identity in known:
            found.repeated += 1
        else:
            known.add(identity)
            found.scores.append(score)


def _wrong(record: Any) -> str:
    """What makes a record unusable; empty where nothing does."""
    if not isinstance(record, dict):
        return f"expected a JSON object, got {type(record).__name__}"
    for key in ("task", "split", "language"):
        if not isinstance(record.get(key), str):
            return f"{key!r} is missing or no text"
    share, count = record.get("score"), record.get("n")
    if not _number(share) or not -1 <= float(share or 0) <= 1:  # shares, and correlations
        return f"the score is {share!r}, expected a number from -1 to 1"
    if not isinstance(count, int) or count < 1:
        return f"n is {count!r}, expected a count of examples"
    body = record.get("body")
    if not isinstance(body, dict) or not isinstance(body.get("lineage"), str):
        return "it does not say which body was scored"
    for key in ("embedding", "data", "head", "software"):
        if not isinstance(record.get(key) or {}, dict):
            return f"{key!r} is no JSON object"
    for made in ((record.get("embedding") or {}).get("made"), body.get("body_made")):
        if not isinstance(made or {}, dict):
            return "'made' is no JSON object"
    return ""


def _identity(score: Score) -> tuple[Any, ...]:
    """Two records with the same identity are the same evaluation, found twice."""
    record = score.record
    prints = [(record.get(part) or {}).get("fingerprint") for part in ("body", "embedding", "question_embedding")]
    return (*score.test, *score.languages, *prints, score.data_sha256, record.get("max_length"), record.get("precision"),
            record["score"], (record.get("head") or {}).get("trained_on"),
            score.base if prints[1] is None else "", score.updates, score.final)


def _score(found: Collected, run: Path, path: Path, record: dict[str, Any]) -> Score:
    embedding = record.get("embedding") or {}
    recorded = str(embedding.get("path", ""))
    saved = saved_at(Path(recorded))
    here = found.embedding(str(embedding.get("fingerprint")), saved)
    place = here.folder.as_posix() if here else recorded
    step = STEP.match(place)
    made = embedding.get("made") or {}
    updates = made.get("updates")
    score = Score(path, run, found.shown(path), record, base=step["base"] if step else place, final=saved is None, updates=None)
    if score.adapted:
        score.updates = int(updates) if _number(updates) else saved
    return score


def _one_base(found: Collected) -> None:
    """Scores of one adaptation run have one base, though only some of its embeddings lie below the run: where the record says
    the same place, the folder that was found stands for the path that was typed."""
    def typed(score: Score) -> tuple[Any, ...]:
        path = str((score.record.get("embedding") or {}).get("path", ""))
        step = STEP.match(path)
        return step["base"] if step else path.rstrip("/"), score.lineage, score.seeds[:2]

    present = {one.folder.as_posix() for one in found.artefacts}
    bases = {typed(score): score.base for score in found.scores if score.base in present}
    for score in found.scores:
        if score.base not in present:
            score.base = bases.get(typed(score), score.base)


def _points(found: Collected) -> None:
    """Tokens seen of every score, and which is the last of its adaptation run where the finished embedding was not scored."""
    _one_base(found)
    folders = {one.folder.as_posix(): one for one in found.artefacts if one.kind == "embedding"}
    for score in found.scores:
        if not score.adapted or score.updates is None:
            continue
        own = score.made.get("tokens_seen")
        run = folders.get(score.base)
        point = next((one for one in run.curve if _number(one.get("tokens"))), None) if run else None
        last = run.made if run else {}
        if _number(own):
            score.tokens = int(own)
        elif point:
            score.tokens = round(score.updates * point["tokens"] / point["update"])
        elif last.get("updates") and _number(last.get("tokens_seen")):
            score.tokens = round(score.updates * last["tokens_seen"] / last["updates"])
    series: dict[tuple[Any, ...], list[Score]] = {}
    for score in found.scores:
        stages = tuple(score.record["body"].get("stages") or ())  # one task or several at once: each has its own last point
        series.setdefault((*score.test, *score.languages, score.lineage, score.base, score.seeds, stages, score.learned_in),
                          []).append(score)
    for members in series.values():
        if not any(score.final for score in members):
            max(members, key=lambda score: score.updates or 0).final = True
    _last_learned(series.values())


def _last_learned(series: Iterable[list[Score]]) -> None:
    """A body that learned its task with the embeddings of an earlier update is an earlier point too: in the base language, whose
    embedding is always the same, only a body that learned with finished ones, or the latest that there are, counts as the end."""
    for members in series:
        ends: dict[str, list[Score]] = {}
        for score in members:
            how = score.learned_with
            if not score.adapted and _number(how.get("updates")):
                ends.setdefault(str(how.get("initialiser")), []).append(score)
        for scores in ends.values():
            last = max(score.learned_with["updates"] for score in scores)
            finished = [bool(score.learned_with.get("data_sha256")) for score in scores]  # a saved step does not say its text
            for score, end in zip(scores, finished, strict=True):
                score.final = end if any(finished) else score.learned_with["updates"] == last
