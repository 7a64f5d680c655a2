"""PAN-X: named entities of WikiANN (Pan et al. 2017), in the splits of Rahimi et al. 2019."""

from __future__ import annotations

from tasks.definition import register
from tasks.tagging.task import SPLITS, TaggingTask, bio

LANGUAGES = ("af", "ar", "bg", "bn", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
             "ja", "jv", "ka", "kk", "ko", "ml", "mr", "ms", "my", "nl", "pt", "ru", "sw", "ta", "te", "th", "tl", "tr",
             "ur", "vi", "yo", "zh")


def raw_wikiann(split: str, language: str) -> list[list[str]]:
    """The names of WikiANN's own files, `CODE/SPLIT` or `CODE-SPLIT`."""
    return [[f"{language}{mark}{split}{ending}" for mark in "/-" for ending in ("", ".gz")]]


PANX = register(TaggingTask("panx", "rahimi-2019", LANGUAGES, SPLITS, labels=bio(("PER", "ORG", "LOC")), more_files=raw_wikiann))
