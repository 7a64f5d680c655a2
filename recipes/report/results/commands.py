"""The commands behind each number: from a run's commands.sh where it has one, else rebuilt from the records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from recipes.report.results.records import Collected, Score


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


def rebuild(scores: Sequence[Score], output: str) -> Known:
    """The evaluate command that writes a results.json, from its records: paths as they were typed, options by default."""
    first = scores[0].record
    files = [str(name) for name in (first.get("data") or {}).get("files") or []]
    data = files[0] if files and files[0].startswith("hf:") else str(PurePath(files[0]).parent) if files else "DATA"
    words = ["relexify", "evaluate", "--body", str(first["body"].get("path", "BODY")), "--task", scores[0].test[0],
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
            chains[results] = [rebuild(members, found.shown(results.parent))]
    ordered = [known for lines in files.values() for known in lines if any(known in chain for chain in chains.values())]
    ordered += [known for chain in chains.values() for known in chain if known not in ordered]
    return ordered, {results: [ordered.index(known) + 1 for known in chain] for results, chain in chains.items()}


def _writer(output: Path, folder: Path, lines: Sequence[Known]) -> Known | None:
    """The line whose --output is that folder, judged by the parts below the folder of the commands.sh."""
    tail = output.relative_to(folder).parts
    return next((known for known in lines if known.output and PurePath(known.output).parts[-len(tail):] == tail), None) \
        if tail else None
