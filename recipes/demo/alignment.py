"""`python -m recipes.demo.alignment DEMO`: did the new embeddings learn the words' meanings, or another labelling?

For each arm and language of a finished demo: of the words that are one piece in both languages, the share whose
nearest base word by cosine (rows of the token embeddings) is their translation, and the median rank of the translation.
A new embedding can model its language well and still call every word by another name; then this share is near zero
and nothing transfers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.base.errors import UserError
from pretrain.base.files import read_json

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from recipes.world import World


def aligned(world: World, base: Embedding, new: Embedding) -> tuple[float, float, int]:
    """(share of words whose nearest base word is the translation, median rank of the translation from 1, words)."""
    import torch
    from torch.nn.functional import normalize

    rows_base, rows_new = [], []
    words_base, words_new = (world.language(e.language).words for e in (base, new))
    for concept, word in words_base.items():
        old = base.tokenizer.vocabulary.ids.get("▁" + word)
        row = new.tokenizer.vocabulary.ids.get("▁" + words_new.get(concept, ""))
        if old is not None and row is not None:
            rows_base.append(old)
            rows_new.append(row)
    near = normalize(new.weight[rows_new], dim=1) @ normalize(base.weight[rows_base], dim=1).T
    rank = (near > near.diag()[:, None]).sum(1) + 1
    return float((rank == 1).float().mean()), float(torch.quantile(rank.float(), 0.5)), len(rows_new)


def table(demo: Path) -> str:
    """Markdown table of a finished demo."""
    from adapt.artefacts.embedding import Embedding
    from recipes.world import World

    settings, results = (read_json(demo / f"{name}.json", "the record of a demo") for name in ("settings", "results"))
    world = World(settings["seed"])
    lines = ["| arm | language | nearest word is the translation | median rank | zero-shot accuracy | held-out loss |",
             "|---|---|---|---|---|---|"]
    for arm, found in results["arms"].items():
        base = Embedding.load(demo / arm / "en" / "embedding")
        for code in settings["languages"]:
            share, rank, words = aligned(world, base, Embedding.load(demo / arm / code))
            score = found["scores"][str(settings["adapt_updates"])][code]["score"]
            loss = min(point["loss"] for point in found["curves"][code])
            lines.append(f"| {arm} | {code} | {share:.2f} of {words} | {rank:.0f} | {score:.3f} | {loss:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table of each demo; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recipes.demo.alignment", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("demo", nargs="+", help="folder of a finished `relexify demo`")
    try:
        for demo in parser.parse_args(arguments).demo:
            print(f"{demo}\n\n{table(Path(demo))}\n")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
