"""Where each set of extractive questions keeps its files: names in a folder, and names on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from pretrain.base.errors import UserError, unknown
from pretrain.base.files import require_folder
from pretrain.base.language import check_language
from tasks.definition import missing_data, only_file

HUB = "hf:"
SPLITS: dict[str, tuple[str, ...]] = {
    "squad": ("train", "dev", "test"), "squad2": ("train", "dev", "test"), "xquad": ("test",), "mlqa": ("dev", "test"),
    "tydiqa": ("train", "dev"),
}
"""Task -> its splits. SQuAD's own test set is not published: `test` is for files of one's own, `test-CODE.json`."""
TASKS = tuple(SPLITS)
LANGUAGES: dict[str, tuple[str, ...]] = {
    "squad": ("en",), "squad2": ("en",),
    "xquad": ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"),
    "mlqa": ("ar", "de", "en", "es", "hi", "vi", "zh"),
    "tydiqa": ("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te"),
}
"""Task -> the languages of its published data; any other code works where its files are there."""
TYDIQA_NAMES = {"ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ko": "korean",
                "ru": "russian", "sw": "swahili", "te": "telugu"}
"""TyDiQA's file of all languages tells them apart by the first word of the question's id."""

HUB_NAMES = {"squad": "hf:rajpurkar/squad", "squad2": "hf:rajpurkar/squad_v2", "xquad": "hf:google/xquad",
             "mlqa": "hf:facebook/mlqa", "tydiqa": "hf:google-research-datasets/tydiqa"}
"""Task -> its data set on the hub."""

_ENDINGS = (".json", ".json.gz")
_VERSION = {"squad": "v1.1", "squad2": "v2.0"}
_CODE = "([A-Za-z0-9-]+)"


def check_task(task: str) -> str:
    """`task` itself.

    Raises:
        UserError: not one of `TASKS`.
    """
    if task not in SPLITS:
        raise unknown("question-answering task", task, TASKS)
    return task


def check_split(task: str, split: str) -> str:
    """`split` itself.

    Raises:
        UserError: the task has no such split; says what takes its place.
    """
    if split in SPLITS[check_task(task)]:
        return split
    if task == "xquad" and split in ("train", "dev"):
        raise UserError(f"XQuAD has no {split} split: it is one set of questions, called 'test'; use --split test, and "
                        "finetune and choose settings on --task squad")
    if task == "mlqa" and split == "train":
        raise UserError("MLQA has no train split: finetune on --task squad, evaluate on --split dev or test")
    raise unknown(f"split of {task}", split, SPLITS[task])


def candidates(task: str, split: str, context: str, question: str) -> list[list[str]]:
    """Patterns of paths below the data folder in which a split is looked for; earlier groups win."""
    if task == "xquad":
        stems = [[f"xquad.{context}"]]
    elif task == "mlqa":
        name = f"{split}-context-{context}-question-{question}"
        stems = [[name, f"{split}/{name}", f"MLQA_V1/{split}/{name}"]]
    elif task == "tydiqa":
        whole = f"tydiqa-goldp-v1.1-{split}"
        names = [f"tydiqa.goldp.{context}.{split}", f"tydiqa.{context}.{split}"]
        if context in TYDIQA_NAMES:
            names.append(f"tydiqa-goldp-{split}-{TYDIQA_NAMES[context]}")
        stems = [[name, f"{whole}/{name}"] for name in names]
        if context in TYDIQA_NAMES:
            stems.append([whole])
    else:
        stems = [[f"{split}-{context}"]]
        if context == "en":  # the official names do not say the language
            stems += [[f"{split}-{_VERSION[task]}"], [f"{split}-{_VERSION[task]}*"]]
    return [[stem + ending for stem in group for ending in _ENDINGS] for group in stems]


def find_file(task: str, data: str, split: str, context: str, question: str) -> Path:
    """The file of a split, with contexts and questions in these languages.

    Raises:
        UserError: there is none, or several that fit equally well.
    """
    folder = require_folder(data, "a folder with the task's files")
    groups = candidates(task, split, context, question)
    if (found := only_file(folder, groups, split, context)) is None:
        raise _missing(task, data, split, context, question, [group[0] for group in groups])
    return found


def _missing(task: str, data: str, split: str, context: str, question: str, tried: list[str]) -> UserError:
    """The error for a language that is not there: names what was looked for and what there is."""
    known = available(task, data, split)
    wanted = ""
    if task == "mlqa" and question != context:
        known = [f"{one}/{other}" for one, other in available_pairs(data, split)]
        wanted = f"context {context!r}, question {question!r}"
    return missing_data(task, data, split, context, known, tried, wanted)


def _matches(folder: Path, pattern: str) -> list[tuple[str, ...]]:
    """Language codes in the names of the folder's files that match `pattern` without its ending, sorted."""
    whole = re.compile(pattern + r"\.json(?:\.gz)?")
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        match = whole.fullmatch(path.name)
        if match and all(_is_code(code) for code in match.groups()):
            found.add(match.groups())
    return sorted(found)


def _is_code(text: str) -> bool:
    try:
        return check_language(text) == text
    except UserError:
        return False


def available(task: str, data: str, split: str) -> list[str]:
    """Languages that `data` holds this split in, by file names; for MLQA those whose questions are in it, too.

    Where `data` is on the hub (`hf:…`): the languages of the published set.
    """
    check_split(task, split)
    if data.startswith(HUB):
        return list(LANGUAGES[task])
    if task == "mlqa":
        return [context for context, question in available_pairs(data, split) if context == question]
    folder, at = Path(data), re.escape(split)
    if task == "xquad":
        return [code for code, in _matches(folder, rf"xquad\.{_CODE}")]
    if task in _VERSION:
        found = {code for code, in _matches(folder, rf"{at}-{_CODE}")}
        official = (path for ending in _ENDINGS for path in folder.glob(f"{split}-{_VERSION[task]}*{ending}"))
        return sorted(found | {"en"} if any(official) else found)
    whole = f"tydiqa-goldp-v1.1-{split}"
    found = {code for place in (folder, folder / whole) for code, in _matches(place, rf"tydiqa\.(?:goldp\.)?{_CODE}\.{at}")}
    found |= {code for code, name in TYDIQA_NAMES.items() for place in (folder, folder / whole)
              if _matches(place, f"tydiqa-goldp-{at}-{name}")}
    return sorted(found | {*TYDIQA_NAMES} if _matches(folder, re.escape(whole)) else found)


def available_pairs(data: str, split: str) -> list[tuple[str, str]]:
    """MLQA's pairs (context language, question language) that `data` holds this split in."""
    check_split("mlqa", split)
    if data.startswith(HUB):
        return [(context, question) for context in LANGUAGES["mlqa"] for question in LANGUAGES["mlqa"]]
    folder = Path(data)
    pattern = rf"{re.escape(split)}-context-{_CODE}-question-{_CODE}"
    return sorted({(context, question) for place in (folder, folder / split, folder / "MLQA_V1" / split)
                   for context, question in _matches(place, pattern)})


def hub_place(task: str, split: str, context: str, question: str) -> tuple[str | None, str]:
    """Configuration and split under which the data sets in `HUB_NAMES` keep a task's split.

    Raises:
        UserError: SQuAD in another language than English, or a split that the hub has not.
    """
    if split == "test" and task in _VERSION:
        raise UserError(f"split 'test' of {task} is not published: the hub has train and dev")
    if task in _VERSION:
        if context != "en":
            raise UserError(f"{task} on the hub is English, not {context!r}; put the files into a folder, "
                            f"{split}-{context}.json, and name it with --data")
        return None, {"train": "train", "dev": "validation"}[split]
    if task == "xquad":
        return f"xquad.{context}", "validation"
    if task == "mlqa":
        return f"mlqa.{context}.{question}", {"dev": "validation", "test": "test"}[split]
    return "secondary_task", {"train": "train", "dev": "validation"}[split]
