"""`relexify import-huggingface`: an ELECTRA of Hugging Face, discriminator and generator, to a Body and an Embedding.

Each network has the shape of its own `config.json`; no preset is assumed (the published small generator is as wide as its
discriminator, though the paper gives it a quarter). Polarity is the same on both sides: a positive logit means *replaced*.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from pretrain.artefacts.body import Body
    from pretrain.encoder import EncoderConfig

_HEAD_OF = {"discriminator": "discriminator_predictions.", "generator": "generator_predictions."}


@dataclass(frozen=True)
class Network:
    """One network with our names.

    Attributes:
        name: what the user called it.
        folder: where its files are.
        config: its shape.
        tensors: as `Discriminator.state_dict()` or `Generator.state_dict()`, rows in the model's own order.
    """

    name: str
    folder: Path
    config: EncoderConfig
    tensors: dict[str, Tensor]


def read_network(name: str, kind: str) -> Network:
    """Reads a network of `kind` discriminator or generator.

    Raises:
        UserError: a file that is missing, damaged or foreign, or tensors that do not fit `config.json`.
    """
    import torch

    from adapt.formats.electra_names import OUR_SEGMENTS, from_electra
    from adapt.formats.huggingface.folder import OWN_ROWS, locate_model, read_config, read_tensors, shape_of
    from pretrain.artefacts.tensors import load_tensors
    from pretrain.electra.networks import Discriminator, Generator

    folder = locate_model(name)
    config = read_config(folder)
    state = read_tensors(folder)
    for other, head in _HEAD_OF.items():
        if other != kind and any(tensor.startswith(head) for tensor in state):
            raise UserError(f"{name}: this is a {other} ({head}* is there); pass it as --{other}")
    shape = shape_of(config, state, folder)
    unused = None
    if (folder / OWN_ROWS).is_file():
        unused = load_tensors(folder / OWN_ROWS, "the rows that an export of relexify keeps").get("unused_positions")
    try:
        tensors = from_electra(kind, state, unused)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if OUR_SEGMENTS in tensors:
        shape = replace(shape, segments=2)
    with torch.device("meta"):
        expected = (Discriminator if kind == "discriminator" else Generator)(shape, config["vocab_size"]).state_dict()
    for key, tensor in expected.items():
        if key not in tensors or tensors[key].shape != tensor.shape:
            got = tuple(tensors[key].shape) if key in tensors else "missing"
            raise UserError(f"{name}: {key} is {got}, config.json needs {tuple(tensor.shape)}; take both files from one "
                            "checkpoint")
    return Network(name, folder, shape, tensors)


def tying_of(network: Network, generating: Network) -> str:
    """What two networks share, judged by bit-equal tensors: `all`, `embedding`, `token` or `none`."""
    import torch

    from adapt.formats.electra_names import OUR_POSITIONS
    from pretrain.masked_lm import EMBEDDING_WEIGHT

    ours, theirs, shape, other = network.tensors, generating.tensors, network.config, generating.config

    def same(names: list[str]) -> bool:
        return all(name in ours and name in theirs and torch.equal(ours[name], theirs[name]) for name in names)

    if (shape.embedding_width, shape.max_positions) != (other.embedding_width, other.max_positions):
        return "none"
    if not same([EMBEDDING_WEIGHT]):
        return "none"
    if shape == other and same([name for name in ours if name.startswith("encoder.")]):
        return "all"
    return "embedding" if same([OUR_POSITIONS, "encoder.embed_norm.weight", "encoder.embed_norm.bias"]) else "token"


def body_of(network: Network, generating: Network | None, made: dict[str, Any]) -> Body:
    """The body, with its generator where there is one."""
    from adapt.formats.electra_names import OUR_POSITIONS
    from pretrain.artefacts.body import ELECTRA, Body, GeneratorPart
    from pretrain.masked_lm import VOCABULARY_INDEXED

    part = None
    if generating is not None:
        tying = tying_of(network, generating)
        tied: tuple[str, ...] = {"all": ("encoder.",), "embedding": (OUR_POSITIONS, "encoder.embed_norm.")}.get(tying, ())
        part = GeneratorPart(generating.config, {name: tensor.clone() for name, tensor in generating.tensors.items()
                                          if name not in VOCABULARY_INDEXED and not name.startswith(tied)}, tying)
    tensors = {name: tensor.clone() for name, tensor in network.tensors.items() if name not in VOCABULARY_INDEXED}
    return Body(network.config, tensors, backbone=ELECTRA, made=made, generator=part)


def embedding_of(network: Network, generating: Network | None, body: Body, language: str, tokenizer: str | None) -> Embedding:
    """The embedding module: the model's own, or a start for one.

    Args:
        tokenizer: a SentencePiece model of the user's for a model with WordPiece: special tokens and pieces that WordPiece
            writes the same way get the model's rows, the others are drawn. None for the model's own tokenizer.
    """
    import torch

    from adapt.artefacts.embedding import Embedding
    from adapt.formats.fairseq import take_rows
    from adapt.formats.huggingface.folder import OWN_MODEL
    from adapt.formats.huggingface.rows import read_rows
    from adapt.text.tokenizer import JSON_NAME, Tokenizer
    from pretrain.base.language import check_language
    from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS

    vocabulary = read_rows(network.folder)
    folder = network.folder
    own = next((folder / name for name in ("tokenizer.json", "vocab.txt") if (folder / name).is_file()), folder)
    pieces = Tokenizer.load(tokenizer or vocabulary.model or own)
    weight = network.tensors[EMBEDDING_WEIGHT]
    needed = max(vocabulary.rows.values()) + 1
    if vocabulary.assumed and needed != len(weight):
        raise UserError(f"{network.name}: {vocabulary.model} and added_tokens.json number {needed:,} rows, the token table "
                        f"has {len(weight):,}; add tokenizer.json, which says which row is which piece")
    rows, symbols = vocabulary.rows, pieces.vocabulary.symbols
    if tokenizer is not None and vocabulary.model is None:
        rows = vocabulary.for_pieces(symbols)
    if tokenizer is None and vocabulary.model is None and pieces.file_name == JSON_NAME:
        rows = {symbol: int(row) for symbol, row in zip(symbols, pieces.file_ids, strict=True) if row >= 0}
    rows = {symbol: rows[symbol] for symbol in symbols if symbol in rows}
    absent = [symbol for symbol in symbols if symbol not in rows]
    if absent and tokenizer is None:
        raise UserError(f"{network.name}: {len(absent):,} of the {len(symbols):,} pieces of {pieces.name} have no row, among "
                        f"them {', '.join(map(repr, absent[:5]))}; take tokenizer and model from one checkpoint")
    if rows and max(rows.values()) >= len(weight):
        raise UserError(f"{network.name}: its vocabulary names row {max(rows.values()):,}, the token table has {len(weight):,}; "
                        "take tokenizer and model from one checkpoint")
    bias = generating.tensors[OUTPUT_BIAS] if generating is not None else weight.new_zeros(len(weight))
    new_weight, new_bias, drawn = take_rows(weight, bias, rows, pieces)
    generator = {}
    if generating is not None and body.generator is not None and body.generator.tying == "none":
        generator["weight"] = take_rows(generating.tensors[EMBEDDING_WEIGHT], bias, rows, pieces)[0]
    foreign: Tensor | None = torch.tensor([rows.get(symbol, -1) for symbol in symbols])
    made = {**body.made, "rows_drawn": drawn, "rows_left_out": len(weight) - (len(symbols) - drawn), "foreign_rows": len(weight)}
    if vocabulary.model is not None and vocabulary.model.name == OWN_MODEL and list(rows.values()) == list(range(len(symbols))):
        foreign = None  # an export of ours in our order comes back as it was
    return Embedding(new_weight, new_bias, pieces, check_language(language), body.lineage, made, generator=generator,
                     foreign=foreign)


@makes("a body with an embedding")
def import_electra(discriminator: str, generator: str | None, output: str | Path, *, language: str | None = None,
                   tokenizer: str | None = None, body_only: bool = False, overwrite: bool = False) -> dict[str, Any]:
    """Writes `OUTPUT/body` and, unless `body_only`, `OUTPUT/embedding`; both or none.

    Args:
        discriminator: folder of an ElectraForPreTraining, or `hf:OWNER/NAME` on the hub.
        generator: folder of the ElectraForMaskedLM it was trained with; None for a body without generator.
        language: BCP-47 code for the embedding.
        tokenizer: see `embedding_of`.

    Returns:
        What was written, for the command's message.

    Raises:
        UserError: a file that is missing, damaged, foreign, or does not belong to the others.
    """
    if not body_only and language is None:
        raise UserError("--language is missing: the embedding module's language, such as en; or --body-only for none")
    network = read_network(discriminator, "discriminator")
    generating = read_network(generator, "generator") if generator is not None else None
    from pretrain.artefacts.tensors import fingerprint
    from pretrain.masked_lm import EMBEDDING_WEIGHT

    sizes = [len(each.tensors[EMBEDDING_WEIGHT]) for each in (network, generating) if each is not None]
    if len(set(sizes)) > 1:
        raise UserError(f"{generator}: its vocabulary has {sizes[1]:,} rows, that of {discriminator} {sizes[0]:,}; a pair reads "
                        "one vocabulary: name the generator that the discriminator was trained with")
    made: dict[str, Any] = {"recipe": "import-huggingface"}
    for kind, each in (("discriminator", network), ("generator", generating)):
        if each is not None:
            made[kind] = each.name if each.name.startswith("hf:") else Path(each.name).name
            made[f"{kind}_fingerprint"] = fingerprint(each.tensors)
    body = body_of(network, generating, made)
    embedding = None
    if not body_only:
        assert language is not None
        embedding = embedding_of(network, generating, body, language, tokenizer)
    with atomic_folder(output, overwrite) as folder:
        body.save(folder / "body")
        if embedding is not None:
            embedding.save(folder / "embedding")
    return {"body": body, "embedding": embedding}
