"""Measures what one body with 1, 5 and 15 languages takes in memory, and how long a change of language takes.

    python -m recipes.bench.memory [--languages 1 5 15] [--layers 12 --width 768] [--rows 32000]

Body and embeddings are drawn at random and written as artefacts; each number of languages is measured in a process of its own,
by the kernel's figures (Linux). `private` is memory of the process alone; `mapped` are pages of files, which the kernel shares
between processes and drops where memory is short. Both are given beyond what the imports take, after every language has been used
once. A change is that of the embedding in use, without the forward pass that follows.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from pretrain.base.errors import UserError

STATUS = Path("/proc/self/status")
CHANGES = 200
MEGABYTE = 1e6


def memory() -> dict[str, float]:
    """Resident memory of this process in megabytes: `private`, and `mapped` from files."""
    values = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    fields = {"private": "RssAnon", "mapped": "RssFile"}
    return {name: int(values[field].split()[0]) * 1024 / MEGABYTE for name, field in fields.items()}


def invented(words: int) -> list[str]:
    """Lines of so many different invented words, each of them twice."""
    draw = random.Random(1)
    syllables = [one + two for one in "bdfgklmnprst" for two in "aeiou"]
    found = list({"".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(words)})
    found = sorted(found) * 2
    draw.shuffle(found)
    return [" ".join(found[start:start + 20]) for start in range(0, len(found), 20)]


def write_model(folder: Path, languages: int, layers: int, width: int, rows: int) -> list[Path]:
    """Writes a random body and embeddings; returns their folders, the body's first."""
    import torch

    from adapt.artefacts.embedding import Embedding
    from adapt.text.tokenizer import Tokenizer, train_tokenizer
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig
    from pretrain.masked_lm import MaskedLM

    tokenizer = Tokenizer(train_tokenizer(invented(2 * rows), rows))
    config = EncoderConfig(layers=layers, width=width, heads=width // 64 or 1, ffn=4 * width, embedding_width=width)
    torch.manual_seed(1)
    body = Body.of_model(MaskedLM(config, len(tokenizer)))
    body.save(folder / "body")
    found = [folder / "body"]
    for number in range(languages):
        code = f"q{chr(97 + number // 26)}{chr(97 + number % 26)}"
        weight = torch.randn(len(tokenizer), width) * 0.02
        Embedding(weight, torch.zeros(len(tokenizer)), tokenizer, code, body.lineage).save(folder / code)
        found.append(folder / code)
    return found


def measure(body: str, embeddings: list[str]) -> dict[str, Any]:
    """Memory and times of one model in this process."""
    import relexify

    text = "kona mipe taru sela" * 4
    before = memory()
    start = time.perf_counter()
    model = relexify.load(body, *embeddings, device="cpu")
    loaded = time.perf_counter() - start
    languages = [model.with_language(code) for code in model.languages]
    for each in languages:
        each.encode(text)
    after = memory()
    times, processor = [], []
    for change in range(CHANGES):
        each = languages[change % len(languages)]
        start, busy = time.perf_counter(), time.thread_time()
        with each._using(each._embeddings[each._language or ""]):
            times.append(time.perf_counter() - start)
            processor.append(time.thread_time() - busy)
    size = sum(Path(path, "embedding.safetensors").stat().st_size for path in embeddings) / MEGABYTE
    return {"languages": len(embeddings), "embeddings_mb": round(size), "load_s": round(loaded, 2),
            **{f"{name}_mb": round(after[name] - before[name]) for name in after},
            "change_ms": round(1000 * median(times), 3), "processor_ms": round(1000 * median(processor), 3)}


def bench(counts: list[int], layers: int, width: int, rows: int, folder: str | None) -> list[dict[str, Any]]:
    """One measurement a number of languages.

    Raises:
        UserError: not on Linux, or numbers that cannot be.
    """
    if not STATUS.exists():
        raise UserError(f"{STATUS}: not there; this benchmark reads the kernel's figures and runs on Linux only")
    if min(counts) < 1 or max(counts) > 600 or layers < 1 or width < 1:
        raise UserError(f"--languages {' '.join(map(str, counts))}, --layers {layers}, --width {width}: expected numbers from 1 "
                        "on, and at most 600 languages")
    found = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        body, *embeddings = write_model(Path(place), max(counts), layers, width, rows)
        for count in counts:
            words = [sys.executable, "-m", "recipes.bench.memory", "--measure", str(body), *map(str, embeddings[:count])]
            done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).resolve().parents[2])
            if done.returncode:
                raise RuntimeError(done.stderr)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main(arguments: list[str] | None = None) -> int:
    """The benchmark's command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.bench.memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--languages", type=int, nargs="+", default=[1, 5, 15], help="numbers of languages (default 1 5 15)")
    parser.add_argument("--layers", type=int, default=12, help="of the body (default 12)")
    parser.add_argument("--width", type=int, default=768, help="of the body (default 768)")
    parser.add_argument("--rows", type=int, default=32000, help="of each embedding (default 32000)")
    parser.add_argument("--folder", help="where the artefacts are written meanwhile (default: the system's temporary folder)")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.measure:
        print(json.dumps(measure(args.measure[0], args.measure[1:])))
        return 0
    try:
        results = bench(args.languages, args.layers, args.width, args.rows, args.folder)
    except UserError as error:
        print(f"relexify: error: {error}", file=sys.stderr)
        return error.exit_code
    for each in results:
        print(f"{each['languages']} languages: embeddings of {each['embeddings_mb']:,} MB; private {each['private_mb']:,} MB, "
              f"mapped {each['mapped_mb']:,} MB; loaded in {each['load_s']} s; a change takes {each['change_ms']} ms "
              f"({each['processor_ms']} ms of processor time)")
    print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
