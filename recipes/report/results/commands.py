"""The commands behind each number: from a run's commands.sh where it has one, else rebuilt from the records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from pretrain.base.errors import UserError
from recipes.report.results.records import Collected, Score
from tasks.reading.files import HUB
from tasks.registry import get_task


@dataclass
class Known:
    """A command line.

    Attributes:
        output: what it writes, as typed; empty where it does not say.
        words: its words, and the values of `key=value` words.
    """

    line: str
    source: str
    output: str = ""
    words: list[str] = field(default_factory=list)


def parse(line: str, source: str) -> Known:
    """A line of a commands.sh; one that is no plain command has no output and belongs to nothing."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return Known(line, source)
    values = [word.split("=", 1)[1] if "=" in word and not word.startswith("-") else word for word in words]
    output = next((words[place + 1] for place, word in enumerate(words[:-1]) if word == "--output"), "") \
        or next((word.split("=", 1)[1] for word in words if word.startswith(("--output=", "output="))), "")
    return Known(line, source, _plain(output), [_plain(word) for word in values])


def _plain(path: str) -> str:
    return str(PurePath(path)) if path else ""


def _needs(known: Known, others: Sequence[Known]) -> list[Known]:
    """The commands whose output a command reads."""
    return [other for other in others if other is not known and other.output
            and any(word == other.output or word.startswith(other.output + "/") for word in known.words
                    if word != known.output)]


def _chain(last: Known, all_: Sequence[Known]) -> list[Known]:
    """`last` with everything it needs, in the order of the file."""
    wanted, queue = [last], [last]
    while queue:
        for need in _needs(queue.pop(), all_):
            if need not in wanted:
                wanted.append(need)
                queue.append(need)
    return [known for known in all_ if known in wanted]


def rebuild(scores: Sequence[Score], output: str) -> list[Known]:
    """The evaluate command that writes a results.json, from its records: paths as they were typed, options by default.

    A body of several tasks is scored on all of them by one command that names none, where one folder holds their data. Else a
    mixture's file told where they lie, which no record names: then a command for each task, with an output of its own.
    """
    by_task: dict[str, list[Score]] = {}
    for score in scores:
        by_task.setdefault(score.test[0], []).append(score)
    places = {task: _places(members[0], task) for task, members in by_task.items()}
    if len(by_task) == 1:
        (task, data), = places.items()
        return [_evaluate(scores, output, data[0], task)]
    together = [data for data in next(iter(places.values())) if all(data in each for each in places.values())]
    if together:
        return [_evaluate(scores, output, together[0])]
    return [_evaluate(members, f"{output}-{task}", places[task][0], task) for task, members in by_task.items()]


def _places(score: Score, task: str) -> list[str]:
    """What `--data` may have been: the folder of the files that were read, also the one above it where the official archive keeps
    a task's files in a folder of its own (`glue/RTE`); or the data set of the hub."""
    files = [str(name) for name in (score.record.get("data") or {}).get("files") or []]
    if not files:
        return ["DATA"]
    try:
        reader: Any = getattr(get_task(task), "reader", None)
    except UserError:  # one of the user's own, that is not known here
        reader = None
    if files[0].startswith(HUB):  # hf:[OWNER/]NAME[/CONFIGURATION]/SPLIT
        parts = files[0].split("/")[:-1]
        configured = len(parts) > 2 or parts[-1] in (score.languages[0], getattr(reader, "hub", ""))
        return ["/".join(parts[:-1] if configured and len(parts) > 1 else parts)]
    folder = PurePath(files[0]).parent
    return [str(folder), *([str(folder.parent)] if folder.name and folder.name == getattr(reader, "folder", "") else [])]


def _evaluate(scores: Sequence[Score], output: str, data: str, task: str = "") -> Known:
    """One command; without `task` of all tasks of the body."""
    first = scores[0].record
    words = ["relexify", "evaluate", "--body", str(first["body"].get("path", "BODY")), *(["--task", task] if task else []),
             "--split", scores[0].test[1], "--data", data, "--output", output]
    retrieval = "layer" in first  # its pairs are each further language with the first, which its records name second
    named = ("question_embedding", "embedding") if retrieval else ("embedding", "question_embedding")
    used = [[str(score.record[name].get("path", "EMBEDDING")) for name in named if score.record.get(name)] or ["EMBEDDING"]
            for score in scores]
    for path in dict.fromkeys(path for one in used for path in one):
        words += ["--embedding", path]
    if any(score.languages[0] != score.languages[1] for score in scores) and not (
            retrieval and len({score.languages[1] for score in scores}) == 1):
        words += ["--pairs", "all"]
    if retrieval:
        words += ["--layer", str(first["layer"]), "--neighbours", str(first["neighbours"])]
    if first.get("precision") not in (None, "fp32"):
        words += ["--precision", str(first["precision"])]
    if "head" in first and not first["head"].get("trained_on"):
        words.append("--untrained-head")
    return Known(shlex.join(words), "the record, rebuilt", output, words)


def trace(found: Collected) -> tuple[list[Known], dict[Path, list[int]]]:
    """All commands behind the scores, numbered from 1 in the order of the list; and for each results.json the numbers of
    those that lead to it, the last being the one that writes it."""
    files = {folder: [parse(line, found.shown(folder / "commands.sh")) for line in lines]
             for folder, lines in sorted(found.commands.items())}
    chains: dict[Path, list[Known]] = {}
    for results in dict.fromkeys(score.file for score in found.scores):
        folder = next((place for place in results.parents if place in files), None)
        last = _writer(results.parent, folder, files[folder]) if folder else None
        if folder and last:
            chains[results] = _chain(last, files[folder])
        else:
            members = [score for score in found.scores if score.file == results]
            chains[results] = rebuild(members, found.shown(results.parent))
    ordered = [known for lines in files.values() for known in lines if any(known in chain for chain in chains.values())]
    ordered += [known for chain in chains.values() for known in chain if known not in ordered]
    return ordered, {results: [ordered.index(known) + 1 for known in chain] for results, chain in chains.items()}


def _writer(output: Path, folder: Path, lines: Sequence[Known]) -> Known | None:
    """The line whose --output is that folder, judged by the parts below the folder of the commands.sh."""
    tail = output.relative_to(folder).parts
    return next((known for known in lines if known.output and PurePath(known.output).parts[-len(tail):] == tail), None) \
        if tail else None
