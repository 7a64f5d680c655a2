"""Universal parts of speech (Universal Dependencies 2): XTREME's files, or treebanks."""

from __future__ import annotations

from tasks.definition import register
from tasks.tagging.data import CONLLU
from tasks.tagging.task import SPLITS, TaggingTask

LANGUAGES = ("af", "ar", "bg", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja",
             "kk", "ko", "mr", "nl", "pt", "ru", "ta", "te", "th", "tl", "tr", "ur", "vi", "yo", "zh")
UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
        "VERB", "X")
"""The universal part-of-speech tags of Universal Dependencies 2."""


def treebanks(split: str, language: str) -> list[list[str]]:
    """The names of UD's files, there or in the treebank's folder."""
    names = [f"{language}_*-ud-{split}{ending}" for ending in CONLLU]
    return [names, [f"UD_*/{name}" for name in names]]


UDPOS = register(TaggingTask("udpos", "ud-2", LANGUAGES, SPLITS, labels=UPOS, metric="accuracy", more_files=treebanks))
