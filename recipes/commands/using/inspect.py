"""`relexify inspect PATH`: prints the record of an artefact and verifies its files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

EXAMPLE = """examples:
  relexify inspect runs/sw
  relexify inspect runs/sw --dictionary en-sw.txt --base runs/en
  relexify inspect runs/en runs/sw --neighbours water --in sw
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("path", nargs="+", help="body, embedding, model, prepared text, results, checkpoint or teachers' outputs")
    parser.add_argument("--json", action="store_true", help="print the record as JSON; a list where there is more than "
                        "one, as with --dictionary")
    parser.add_argument("--dictionary", metavar="FILE", help="lines of a word of the base language and its translation in the "
                        "embedding's: says how many words are nearest to their translation")
    parser.add_argument("--base", metavar="DIR", help="with --dictionary: the base language's embedding, or its run")
    parser.add_argument("--neighbours", metavar="WORD", help="instead: the pieces nearest to a word of the first embedding's "
                        "language, in each of the embeddings")
    parser.add_argument("--in", dest="within", metavar="CODE", help="only those in this language")
    parser.add_argument("--count", type=int, default=10, metavar="N", help="how many (default 10)")


def run(args: argparse.Namespace) -> int:
    """Prints what stands at each path, or what lies near a word."""
    from pretrain.base.errors import UserError

    if bool(args.dictionary) != bool(args.base):
        raise UserError("--dictionary and --base go together: a dictionary file, and the embedding of the language that it "
                        "translates into")
    if args.neighbours is not None:
        if args.dictionary:
            raise UserError("--neighbours and --dictionary are two questions; ask one at a time")
        return _neighbours(args)
    if args.within is not None:
        raise UserError(f"--in {args.within}: says where neighbours are looked for; name a word with --neighbours")
    from adapt.artefacts.hub import HUB, snapshot

    shown = []
    for path in args.path:
        folder = snapshot(path) if path.startswith(HUB) else Path(path)
        for title, record in [*describe(folder), *([_alignment(path, args)] if args.dictionary else [])]:
            shown.append(record)
            if not args.json:
                _show(title, record)
    if args.json:
        _print_json(shown)
    return 0


def _alignment(path: str, args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """How many words of an embedding are nearest to their translation."""
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of, locate
    from adapt.probe.alignment import alignment
    from adapt.text.dictionary import translations, warn_if_cut_off
    from pretrain.base.errors import UserError

    new, base = Embedding.load(locate(path, "embedding")), Embedding.load(embedding_of(args.base, option="--base"))
    if new.lineage != base.lineage:
        raise UserError(f"{path} has lineage {new.lineage[:12]}, {args.base} has {base.lineage[:12]}: rows can only be compared "
                        "where both embeddings were learned against the same body")
    known = translations(args.dictionary)
    warn_if_cut_off(args.dictionary, {word for words in known.values() for word in words}, base.tokenizer.spellings)
    found = alignment(base, new, known, among_all=True)
    if not found.words:
        raise UserError(f"{args.dictionary}: no line has two words that are one piece each in {path} and {args.base}; expected "
                        f"words of {base.language} and their translations in {new.language}, in this order")
    return (f"{path}: alignment with {args.base}", {
        "words": found.words, "candidates (base words of one piece)": found.candidates.count,
        "nearest base word is a translation": round(found.share, 4), "by chance": round(found.chance, 4),
        "median rank of the best translation": found.median_rank})


def _neighbours(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of
    from adapt.probe.neighbours import neighbours, word_rows, word_vector
    from pretrain.base.errors import UserError, unknown

    if args.count < 1:
        raise UserError(f"--count {args.count}: expected at least 1")
    embeddings = [Embedding.load(embedding_of(path)) for path in args.path]
    first = embeddings[0]
    for path, other in zip(args.path, embeddings, strict=True):
        if other.lineage != first.lineage:
            raise UserError(f"{path}: learned against lineage {other.lineage[:12]}, {args.path[0]} against {first.lineage[:12]}; "
                            "the angle between rows of two bodies says nothing: name embeddings of one body")
    languages = [each.language for each in embeddings]
    if args.within is not None and args.within not in languages:
        raise unknown("language of --in", args.within, languages)
    rows = word_rows(first, args.neighbours)
    vector = word_vector(first, rows)[None]
    pieces = [first.tokenizer.spellings[row] for row in rows]
    if not args.json:
        print(f"{args.neighbours} ({first.language}): {' '.join(pieces)}")
    shown: list[dict[str, Any]] = []
    for number, each in enumerate(embeddings):
        if args.within in (None, each.language):
            (nearest,) = neighbours(each, vector, args.count, [rows] if number == 0 else ())
            if args.json:
                shown.append({"word": args.neighbours, "pieces": pieces, "language": each.language,
                              "neighbours": [asdict(one) for one in nearest]})
            else:
                print(f"  {each.language}: " + "  ".join(f"{one.piece} {one.cosine:.3f}" for one in nearest))
    if args.json:
        _print_json(shown)
    return 0


def describe(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """(title, record) of each artefact at `path`; every one of them has been verified.

    Raises:
        UserError: nothing known stands there, or it is damaged.
    """
    from adapt.artefacts.assemble import check_compatible
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import SEEDS, SEEDS_FORMAT, SEEDS_VERSION, folder_of_run, locate
    from adapt.text.verify import verify_prepared
    from pretrain.artefacts.body import Body
    from pretrain.base.errors import UserError
    from pretrain.base.files import read_json, read_record

    if (path / SEEDS).exists():
        median = describe(locate(path, "body"))
        record = read_record(path / SEEDS, "the record of runs over seeds (seeds.json)", SEEDS_FORMAT, SEEDS_VERSION)
        for run in record.tables("runs"):
            folder = path / folder_of_run(run)
            if Body.load(folder).fingerprint != run.text("fingerprint"):
                raise UserError(f"{folder}: is another body than {SEEDS} says; the files were changed or mixed "
                                "up: copy the folder again")
        return [(f"{path}: runs over {len(record['runs'])} seeds, verified; the median run follows", record), *median]
    if (path / "body.json").exists():
        return [(f"{path}: verified", Body.load(path).record())]
    if (path / "embedding.json").exists():
        return [(f"{path}: verified", Embedding.load(path).record())]
    if (path / "body" / "body.json").exists() and (path / "embedding" / "embedding.json").exists():
        body, embedding = Body.load(path / "body"), Embedding.load(path / "embedding")
        check_compatible(body, embedding)
        return [(f"{path}/body: verified", body.record()), (f"{path}/embedding: verified, fits", embedding.record())]
    if (path / "prepare.json").exists():
        return [(f"{path}: prepared text, verified", verify_prepared(path))]
    if path.suffix == ".json" and path.exists():
        record = read_json(path)
        return [(str(path), record if isinstance(record, dict) else {"cells": record})]
    if path.suffix == ".parquet" and path.is_file():
        from tasks.distillation.soft_labels import read

        labels = read(path)
        return [(f"{path}: what teachers say of {len(labels):,} examples, verified", labels.header)]
    if path.suffix == ".pt":
        from pretrain.base.checkpoints import load_checkpoint, updates_of

        state = load_checkpoint(path)
        updates = updates_of(state, path) if state.get("optimizer_history") else None
        shapes = {name: list(tensor.shape) for name, tensor in state["model"].items()}
        return [(f"{path}: fairseq checkpoint", {"updates": updates, "tensors": shapes})]
    raise UserError(f"{path}: expected a body, an embedding, a model, prepared text, results (.json), a checkpoint "
                    f"(.pt) or teachers' outputs (.parquet), found "
                    f"{'an unknown folder' if path.is_dir() else 'no such thing'}; check the path")


def _print_json(records: list[dict[str, Any]]) -> None:
    """One JSON document: the record, or a list of them."""
    import json

    print(json.dumps(records[0] if len(records) == 1 else records, indent=2, ensure_ascii=False))


def _show(title: str, record: dict[str, Any]) -> None:
    print(title)
    for key, value in record.items():
        if isinstance(value, dict):
            print(f"  {key}:")
            for name, inner in value.items():
                print(f"    {name}: {inner}")
        else:
            print(f"  {key}: {value}")
