"""Times `prepare` against SentencePiece encoding plus `fairseq-preprocess` on the same text, in one run.

    python -m recipes.bench.prepare [TEXT] [--megabytes 20] [--vocab-size 8000] [--repeats 2]

The reference is what the papers' scripts do: a Python process that writes the pieces of each line to a text file (the
`spm_encode` of fairseq's scripts), then `fairseq-preprocess --only-source`. Both get the same finished tokenizer and
the same plain file, run as fresh processes, and must write the same token ids. Training the tokenizer takes the same
time for both and is reported apart. Without TEXT, a text of invented words is generated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parents[2]
_SEED, _VALID = 1, 0.01

_SPM_ENCODE = """
import sys, sentencepiece
processor = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
with open(sys.argv[2], encoding="utf-8", newline="\\n") as text, open(sys.argv[3], "w", encoding="utf-8") as pieces:
    for line in text:
        print(" ".join(processor.encode(line.strip(), out_type=str)), file=pieces)
"""

_PREPARE = """
import json, sys
from adapt.text.prepare import prepare
if __name__ == "__main__":
    prepare(**json.loads(sys.argv[1]))
"""


def _invented(characters: int) -> Iterator[str]:
    """Lines of invented words with a Zipfian distribution."""
    import numpy as np

    draw = np.random.default_rng(_SEED)
    onsets, vowels = ["b", "ch", "d", "f", "k", "l", "m", "n", "p", "r", "s", "t", "w"], ["a", "e", "i", "o", "u", "ai"]
    words = ["".join(f"{draw.choice(onsets)}{draw.choice(vowels)}" for _ in range(draw.integers(1, 5)))
             for _ in range(20_000)]
    weights = 1.0 / np.arange(1, len(words) + 1)
    weights /= weights.sum()
    while characters > 0:
        line = " ".join(words[i] for i in draw.choice(len(words), size=draw.integers(5, 40), p=weights)) + "."
        characters -= len(line) + 1
        yield line


def _write_text(source: str | None, characters: int, path: Path) -> int:
    """Writes lines with text, up to about `characters` characters; returns the file's size in bytes."""
    from adapt.text.corpus import Corpus

    lines = (line for document in Corpus([source]) for line in document) if source else _invented(characters)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line + "\n")
            characters -= len(line) + 1
            if characters <= 0:
                break
    return path.stat().st_size


def _timed(command: list[str], folder: Path) -> float:
    """Seconds that a command takes; its output is shown where it fails."""
    start = time.perf_counter()
    # the checkout must be importable wherever the benchmark's files lie
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(_ROOT)})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return time.perf_counter() - start


def same_ids(ours: Path, theirs: Path) -> bool:
    """Whether our train and valid parts together hold the items of fairseq's `train`, in its order."""
    import numpy as np

    from adapt.text.sampling import Selection
    from pretrain.data import MappedTokens

    reference = MappedTokens(theirs / "train")
    train, valid = Selection(_SEED, _VALID, 1, None).parts(np.arange(len(reference)), reference.sizes)
    for name, mask in (("train", train), ("valid", valid)):
        part = MappedTokens(ours / name)
        if not np.array_equal(part.sizes, reference.sizes[mask]):
            return False
        if not np.array_equal(part.tokens, reference.tokens[np.repeat(mask, reference.sizes)]):
            return False
    return True


def bench(text: str | None, megabytes: float, vocab_size: int, workers: int, repeats: int) -> dict[str, Any]:
    """Runs the comparison; times are the best of `repeats`, taken in turns."""
    from adapt.text.prepare import prepare

    with tempfile.TemporaryDirectory(prefix="bench-prepare-") as name:
        folder = Path(name)
        plain = folder / "text.txt"
        size = _write_text(text, int(megabytes * 1e6), plain)
        given: dict[str, Any] = {"texts": [str(plain)], "language": "en", "documents": "line", "seed": _SEED,
                                 "valid_fraction": _VALID, "workers": workers, "overwrite": True}
        start = time.perf_counter()
        record = prepare(**given, output=folder / "full", vocab_size=vocab_size)
        full = time.perf_counter() - start
        model = folder / "full" / "tokenizer.model"
        ours, encoding, binarising = [], [], []
        for _ in range(repeats):
            call = {**given, "output": str(folder / "ours"), "tokenizer": str(model)}
            ours.append(_timed([sys.executable, "-c", _PREPARE, json.dumps(call)], folder))
            encoding.append(_timed([sys.executable, "-c", _SPM_ENCODE, str(model), str(plain),
                                    str(folder / "pieces.txt")], folder))
            binarising.append(_timed(
                [sys.executable, "-m", "fairseq_cli.preprocess", "--only-source", "--trainpref",
                 str(folder / "pieces.txt"), "--srcdict", str(folder / "full" / "dict.txt"), "--destdir",
                 str(folder / "theirs"), "--workers", str(workers)], folder))
        reference = min(map(sum, zip(encoding, binarising, strict=True)))
        training = max(0.0, full - min(ours))
        return {
            "text": text or "invented", "bytes": size, "workers": workers, "repeats": repeats,
            "vocab_size": record["vocabulary"]["size"], "tokens": sum(p["tokens"] for p in record["splits"].values()),
            "prepare_s": round(min(ours), 2), "spm_encode_s": round(min(encoding), 2),
            "fairseq_preprocess_s": round(min(binarising), 2), "reference_s": round(reference, 2),
            "ratio": round(reference / min(ours), 2), "prepare_with_training_s": round(full, 2),
            "ratio_with_training": round((reference + training) / full, 2),
            "same_ids": same_ids(folder / "ours", folder / "theirs"),
        }


def main(arguments: list[str] | None = None) -> int:
    """The benchmark's command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.bench.prepare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("text", nargs="?", help="a text file in any format that prepare reads (default: invented text)")
    parser.add_argument("--megabytes", type=float, default=20.0, help="how much text to use (default 20)")
    parser.add_argument("--vocab-size", type=int, default=8000, help="size of the tokenizer (default 8000)")
    parser.add_argument("--workers", type=int, default=2, help="processes, for both sides (default 2)")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each side, the best counts (default 2)")
    args = parser.parse_args(arguments)
    try:
        result = bench(args.text, args.megabytes, args.vocab_size, args.workers, args.repeats)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"prepare {result['prepare_s']} s, spm_encode + fairseq-preprocess {result['reference_s']} s "
          f"({result['spm_encode_s']} + {result['fairseq_preprocess_s']}): {result['ratio']} times as fast; "
          f"ids {'equal' if result['same_ids'] else 'DIFFER'}; with tokenizer training "
          f"{result['prepare_with_training_s']} s ({result['ratio_with_training']} times)")
    print(json.dumps(result))
    return 0 if result["same_ids"] else 1


if __name__ == "__main__":
    sys.exit(main())
