"""`relexify export --body DIR --to huggingface|fairseq --output DIR`"""

from __future__ import annotations

import argparse

EXAMPLE = """example:
  relexify export --body runs/xnli --embedding runs/sw --to huggingface --output exported
  python -c 'from transformers import pipeline; print(pipeline("text-classification", "exported")("Habari ya asubuhi"))'

A task body gives a model in --output; a pre-trained body gives --output/masked-lm, or --output/discriminator and
--output/generator. docs/ecosystem.md says which class a body becomes, and what is refused.
"""
TARGETS = ("huggingface", "fairseq")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify export`."""
    parser.epilog = EXAMPLE
    add_options(parser)
    parser.add_argument("--to", required=True, choices=TARGETS, help="whose format")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `export` and `export-huggingface` share."""
    add = parser.add_argument
    add("--body", required=True, metavar="DIR", help="pre-trained body or task body")
    add("--embedding", metavar="DIR", help="embedding of a language; default: the one beside --body")
    add("--output", required=True, metavar="DIR", help="folder to write")
    add("--task", default="", metavar="NAME", help="of a body that does several tasks, the one to export")
    add("--license", default="", metavar="NAME", help="license for the card, as the hub spells it; default: as recorded, if so")
    add("--check-text", metavar="FILE", help="compare the exported tokenizer's ids with SentencePiece's on these lines too")
    add("--no-tokenizer", action="store_true", help="write the SentencePiece model alone, as relexify.model")
    add("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns the exit code."""
    return to_huggingface(args) if args.to == "huggingface" else to_fairseq(args)


def to_fairseq(args: argparse.Namespace) -> int:
    """Writes the folder of fairseq; returns the exit code."""
    from pretrain.base.errors import UserError
    from pretrain.base.outputs import making

    for option in ("license", "check_text", "no_tokenizer"):
        if getattr(args, option):
            raise UserError(f"--{option.replace('_', '-')} is for --to huggingface; leave it out")
    with making(args.output, args.overwrite, "a fairseq model"):
        return _to_fairseq(args)


def to_huggingface(args: argparse.Namespace) -> int:
    """Writes the folders of transformers; returns the exit code."""
    from pretrain.base.outputs import making

    with making(args.output, args.overwrite, "Hugging Face models"):
        return _to_huggingface(args)


def _to_fairseq(args: argparse.Namespace) -> int:
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of, locate
    from adapt.formats.fairseq_export import export
    from pretrain.artefacts.body import Body
    from tasks.heads.several import body_for

    body = body_for(Body.load(locate(args.body, "body")), [args.task], args.body)
    embedding = Embedding.load(embedding_of(args.body, args.embedding or ""))
    head = None
    labels: tuple[str, ...] = ()
    if body.task is not None:
        from tasks.heads.export import fairseq_head_of

        head, labels = fairseq_head_of(body)
    opened = export(body, embedding, args.output, head=head, labels=labels, overwrite=args.overwrite)
    print(f"{args.output}: model.pt and dict.txt, {len(embedding.weight):,} rows ({embedding.language}); "
          f'RobertaModel.from_pretrained("{args.output}", "model.pt", {opened}) opens it')
    return 0


def _to_huggingface(args: argparse.Namespace) -> int:
    from adapt.artefacts.embedding import Embedding
    from adapt.artefacts.resources import embedding_of, locate
    from adapt.formats.huggingface_export import export
    from pretrain.artefacts.body import Body
    from pretrain.base.checkpoints import guard_torchaudio
    from tasks.heads.several import body_for

    body = body_for(Body.load(locate(args.body, "body")), [args.task], args.body)
    embedding = Embedding.load(embedding_of(args.body, args.embedding or ""))
    head = None
    if body.task is not None:
        from tasks.heads.export import head_of

        head = head_of(body)
    names = export(body, embedding, args.output, head=head, tokenizer=not args.no_tokenizer, check_text=args.check_text,
                   license_name=args.license, overwrite=args.overwrite)
    print(f"{args.output}: {' and '.join(names)}, {len(embedding.weight):,} rows ({embedding.language})")
    if body.generator is not None and body.generator.hardness != "none":
        print("note: the generator's hardness head has no counterpart there and was left out")
    if guard_torchaudio():
        print("note: the installed torchaudio does not import beside this torch, and transformers imports it with every model; "
              "nothing here needs it: pip uninstall torchaudio")
    return 0
