"""Measures how often the language of a text is found (`predict --language auto`) among the languages of the embeddings named.

    python -m recipes.bench.language TEXTS --body DIR --embedding DIR… [--lines 200] [--skip 10000]
    python -m recipes.bench.language TEXTS --data DIR… [--lines 200] [--skip 10000]

TEXTS is a folder with `CODE.txt`, plain or compressed; of each, so many lines are asked about, the first after `--skip` lines,
which should be what the embeddings have not seen. Two ways are scored: `model`, what a RoBERTa body or a pair's generator says,
and `vocabulary`, how few pieces each tokenizer needs, all that an ELECTRA task body can go by. `script` is the share of lines for
which the script alone leaves one language. With `--data`, folders of prepared text, nothing is trained: each language's embedding
knows how frequent its pieces are and nothing else, which is what an adaptation learns first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from pretrain.base.errors import UserError


def lines_of(folder: Path, code: str, skip: int, count: int, least: int) -> list[str]:
    """`count` lines of a language's text, of at least so many characters, from line `skip` + 1 on.

    Raises:
        UserError: no such text, or too few lines.
    """
    from adapt.text.corpus import Corpus

    place = next((path for path in sorted(folder.glob(f"{code}.txt*")) if path.is_file()), None)
    if place is None:
        raise UserError(f"{folder}: no {code}.txt there (it may be compressed); expected a text of each embedding's language")
    lines = (line.strip() for document in Corpus([str(place)], "line", "text") for line in document)
    found = list(islice((line for line in islice(lines, skip, None) if len(line) >= least), count))
    if len(found) < count:
        raise UserError(f"{place}: {len(found)} lines of {least} characters after the first {skip}, expected {count}; lower "
                        "--lines, --skip or --characters")
    return found


def measure(texts: Path, body: str, embeddings: list[str], lines: int, skip: int, least: int) -> dict[str, Any]:
    """Accuracy by language and way, and what was taken for what.

    Raises:
        UserError: fewer than two languages, an embedding that does not fit, or no text of its language.
    """
    import relexify
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of
    from adapt.probe.language import candidates, guess, writes

    model = relexify.load(body, *embeddings)
    known = {each.language: each for each in (Embedding.load(embedding_of(path)) for path in embeddings)}
    if len(known) < 2:
        raise UserError(f"{len(known)} embedding: a language is chosen among two or more; name their folders")
    scripts = {language: writes(embedding.tokenizer) for language, embedding in known.items()}
    found: dict[str, Any] = {"lines": lines, "languages": {}, "confused": {"model": {}, "vocabulary": {}}}
    for language in known:
        asked = lines_of(texts, language, skip, lines, least)
        row = {"script": sum(candidates(text, scripts) == [language] for text in asked) / lines}
        for way, said in (("model", model.guess(asked)), ("vocabulary", guess(known, asked))):
            row[way] = sum(code == language for code in said) / lines
            for code in said:
                if code != language:
                    pair = f"{language} as {code}"
                    found["confused"][way][pair] = found["confused"][way].get(pair, 0) + 1
        found["languages"][language] = row
        print(f"{language}: " + ", ".join(f"{way} {share:.3f}" for way, share in row.items()), file=sys.stderr)
    found["mean"] = {way: sum(row[way] for row in found["languages"].values()) / len(known) for way in row}
    return found


def frequencies(data: list[str], folder: Path) -> tuple[str, list[str]]:
    """Writes a body and an embedding for each folder of prepared text, whose language model is the pieces' frequency.

    Returns:
        Their folders.
    """
    import numpy as np
    import torch

    from adapt.artefacts.embedding import Embedding
    from adapt.text.tokenizer import Tokenizer
    from adapt.text.verify import verify_prepared
    from pretrain.artefacts.body import Body
    from pretrain.base.vocabulary import SPECIALS, Vocabulary
    from pretrain.encoder import EncoderConfig
    from pretrain.masked_lm import MaskedLM

    config = EncoderConfig(layers=1, width=8, heads=1, ffn=8, embedding_width=8, max_positions=128)
    body = Body.of_model(MaskedLM(config, 8))
    body.save(folder / "body")
    found = []
    for path in data:
        language, tokenizer = verify_prepared(path).language(), Tokenizer.load(path)
        pieces = np.asarray(Vocabulary.load(Path(path) / "dict.txt").counts, dtype=np.float64)
        counts = np.pad(pieces, (len(SPECIALS), 1))  # special tokens and the mask: never
        bias = torch.from_numpy(np.log((counts + 0.5) / (counts + 0.5).sum())).float()
        weight = torch.zeros(len(bias), config.embedding_width)
        Embedding(weight, bias, tokenizer, language, body.lineage).save(folder / language)
        found.append(str(folder / language))
    return str(folder / "body"), found


def main(arguments: list[str] | None = None) -> int:
    """The benchmark's command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.bench.language", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("texts", type=Path, help="folder with CODE.txt of each language, plain or compressed")
    parser.add_argument("--body", help="a pre-trained body, or a task body")
    parser.add_argument("--embedding", nargs="+", default=[], help="embeddings of its lineage")
    parser.add_argument("--data", nargs="+", default=[], help="instead: prepared texts of the languages")
    parser.add_argument("--lines", type=int, default=200, help="lines of each language (default 200)")
    parser.add_argument("--skip", type=int, default=0, help="lines at the beginning of each text that are left out (default 0)")
    parser.add_argument("--characters", type=int, default=1, help="shorter lines are left out (default 1)")
    args = parser.parse_args(arguments)
    try:
        if args.lines < 1 or args.skip < 0:
            raise UserError(f"--lines {args.lines}, --skip {args.skip}: expected at least 1 line, and none or more left out")
        if bool(args.data) == bool(args.body and args.embedding):
            raise UserError("expected --body with --embedding, or --data alone")
        with tempfile.TemporaryDirectory() as folder:
            body, embeddings = frequencies(args.data, Path(folder)) if args.data else (args.body, args.embedding)
            found = measure(args.texts, body, embeddings, args.lines, args.skip, args.characters)
    except UserError as error:
        print(f"relexify: error: {error}", file=sys.stderr)
        return error.exit_code
    for way, pairs in found["confused"].items():
        most = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:8]
        print(f"{way}: mean accuracy {found['mean'][way]:.3f}; most confused: "
              + (", ".join(f"{pair} {count}" for pair, count in most) or "nothing"))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
