"""`relexify import`: a model that people already have, to a Body and an Embedding module.

The kind is found from the files: a fairseq checkpoint, an ELECTRA pair, or one of `huggingface.families`.

This module imports nothing heavy by itself: the command line reads it for `--help`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_json
from pretrain.base.outputs import makes

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.artefacts.embedding import Embedding
    from adapt.text.tokenizer import Tokenizer
    from pretrain.artefacts.body import Body

HEAD_SEED = 1
"""Draws the LM head of a model that has none."""
PAIR = ("discriminator", "generator")
FAIRSEQ = ("model.pt", "checkpoint_best.pt", "checkpoint_last.pt")
SENTENCEPIECE = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model")


@makes("a body with an embedding")
def import_model(model: str, output: str | Path, *, language: str | None = None, tokenizer: str | None = None,
                 dictionary: str | None = None, generator: str | None = None, heads: int | None = None,
                 keep_layers: int | None = None, text: str | None = None, body_only: bool = False,
                 overwrite: bool = False) -> list[str]:
    """Writes `OUTPUT/body` and, unless `body_only`, `OUTPUT/embedding`; both or none.

    Args:
        model: a folder, `hf:OWNER/NAME[@REVISION]` on the hub, or a fairseq checkpoint (`.pt`).
        language: BCP-47 code of the embedding; `mul` for a multilingual one.
        tokenizer: its tokenizer, where it is not beside the model.
        dictionary: fairseq's dict.txt, where it is not beside the checkpoint.
        generator: the folder of an ELECTRA's generator.
        heads: attention heads, where a fairseq checkpoint does not say.
        keep_layers: only the first so many layers.
        text: a text of the language: the embedding has the pieces that it uses, and no others (see `prune`).

    Returns:
        Lines for the user: what was written, and what is not as it was.

    Raises:
        UserError: a file that is missing, damaged, foreign, or does not belong to the others; nothing is written.
    """
    if not body_only and language is None:
        raise UserError("--language is missing: the embedding module's language, such as en, or mul for a multilingual one; or "
                        "--body-only for none")
    if keep_layers is not None and keep_layers < 1:
        raise UserError(f"--keep-layers {keep_layers}: expected at least 1")
    checkpoint = _checkpoint(model)
    if checkpoint is not None:
        _refuse(keep_layers, "--keep-layers", "a fairseq checkpoint")
        _refuse(text, "--text", "a fairseq checkpoint")
        _refuse(generator, "--generator", "a fairseq checkpoint")
        return _fairseq(checkpoint, output, language, tokenizer, dictionary, heads, body_only, overwrite)
    _refuse(dictionary, "--dict", "a Hugging Face model")
    _refuse(heads, "--heads", "a Hugging Face model")
    from adapt.formats.huggingface.folder import CONFIG, locate_model

    folder = locate_model(model)
    if (folder / PAIR[0] / CONFIG).is_file():
        if generator is None and (folder / PAIR[1] / CONFIG).is_file():
            generator = str(folder / PAIR[1])
        folder, model = folder / PAIR[0], str(folder / PAIR[0])
    config = read_json(folder / CONFIG, "the configuration of a Hugging Face model")
    if isinstance(config, dict) and config.get("model_type") == "electra":
        _refuse(keep_layers, "--keep-layers", "an ELECTRA pair")
        _refuse(text, "--text", "an ELECTRA pair")
        return _electra(model, generator, output, language, tokenizer, body_only, overwrite)
    _refuse(generator, "--generator", "a masked language model")
    body, embedding, notes = take_over(model, folder, config, language, tokenizer, keep_layers, body_only, text)
    with atomic_folder(output, overwrite) as target:
        body.save(target / "body")
        if embedding is not None:
            embedding.save(target / "embedding")
    shape = body.config
    lines = [f"{output}/body: {shape.layers} layers, width {shape.width}, {shape.heads} heads, {shape.segments} "
             f"segment{'s' * (shape.segments > 1)}, fingerprint {body.fingerprint[:12]}"]
    if embedding is not None:
        lines.append(f"{output}/embedding: {len(embedding.weight):,} rows ({embedding.made['rows_drawn']:,} drawn, "
                     f"{embedding.made['rows_left_out']:,} of the table left out), tokenizer {embedding.tokenizer.file_name}")
    return lines + notes


def _refuse(value: object, option: str, kind: str) -> None:
    if value is not None:
        raise UserError(f"{option}: this is {kind}, for which the option means nothing; leave it out")


def _checkpoint(model: str) -> Path | None:
    """The fairseq checkpoint that `model` names, or that lies in this folder."""
    path = Path(model)
    if path.is_dir() and not (path / "config.json").is_file():
        return next((path / name for name in FAIRSEQ if (path / name).is_file()), None)
    if path.suffix in (".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".onnx", ".bin", ".safetensors") and path.is_file():
        raise UserError(f"{path}: expected the folder of a model (config.json beside the weights) or a fairseq checkpoint (.pt), "
                        "got one file; pass its folder. Pickles are never read")
    return path if path.suffix == ".pt" and not path.is_dir() else None


def _fairseq(path: Path, output: str | Path, language: str | None, tokenizer: str | None, dictionary: str | None,
             heads: int | None, body_only: bool, overwrite: bool) -> list[str]:
    from adapt.formats.fairseq import import_checkpoint

    if not body_only:
        dictionary = dictionary or _beside(path, ("dict.txt",))
        tokenizer = tokenizer or _beside(path, (*SENTENCEPIECE, "encoder.json", "tokenizer.json"))
        if dictionary is None or tokenizer is None:
            what = "dict.txt" if dictionary is None else "tokenizer (sentencepiece.bpe.model, or encoder.json and vocab.bpe)"
            raise UserError(f"{path}: no {what} beside it; put it there, name it with --dict or --tokenizer, or take the body "
                            "alone with --body-only")
    report = import_checkpoint(path, dictionary, tokenizer, language, output, heads=heads, body_only=body_only,
                               overwrite=overwrite)
    shape = report["architecture"]
    lines = [f"{output}/body: {shape['layers']} layers, width {shape['width']}, {shape['heads']} heads, fingerprint "
             f"{report['fingerprint'][:12]}"]
    if "rows" in report:
        lines.append(f"{output}/embedding: {report['rows']:,} rows ({report['rows_drawn']:,} drawn, "
                     f"{report['rows_left_out']:,} of dict.txt left out)")
    return lines


def _beside(path: Path, names: tuple[str, ...]) -> str | None:
    return next((str(path.parent / name) for name in names if (path.parent / name).is_file()), None)


def _electra(model: str, generator: str | None, output: str | Path, language: str | None, tokenizer: str | None,
             body_only: bool, overwrite: bool) -> list[str]:
    from adapt.formats.huggingface_import import import_electra

    report = import_electra(model, generator, output, language=language, tokenizer=tokenizer, body_only=body_only,
                            overwrite=overwrite)
    body, embedding = report["body"], report["embedding"]
    lines = [f"{output}/body: ELECTRA, {body.config.layers} layers, width {body.config.width}, "
             f"{'no generator' if body.generator is None else f'tying {body.generator.tying}'}, "
             f"fingerprint {body.fingerprint[:12]}"]
    if embedding is not None:
        lines.append(f"{output}/embedding: {len(embedding.weight):,} rows ({embedding.made['rows_drawn']:,} drawn)")
    return lines


def take_over(name: str, folder: Path, config: Any, language: str | None, tokenizer: str | None, keep_layers: int | None,
              body_only: bool, text: str | None = None) -> tuple[Body, Embedding | None, list[str]]:
    """Body and embedding of a masked language model or a bare encoder, and what the user has to know.

    Raises:
        UserError: see `import_model`.
    """
    import torch

    from adapt.formats.huggingface.families import SEGMENTS, check_config, rename, shape_of
    from adapt.formats.huggingface.folder import CONFIG, read_tensors
    from pretrain.artefacts.body import DRAWN, Body
    from pretrain.artefacts.tensors import fingerprint
    from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, VOCABULARY_INDEXED, MaskedLM

    family, settings = check_config(config, folder / CONFIG)
    state = read_tensors(folder)
    try:
        tensors, head = rename(family, state)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    shape = shape_of(family, settings, 2 if SEGMENTS in tensors else 1, folder / CONFIG)
    notes = []
    made: dict[str, Any] = {"recipe": "import", "source": name if name.startswith("hf:") else Path(name).resolve().name,
                            "family": family.title, "source_fingerprint": fingerprint(state)}
    if not head:
        made["head"] = DRAWN
        tensors.update(_drawn_head(shape, settings["vocab_size"]))
        notes.append("note: the model has no LM head; the body's was drawn, and adapt and fill refuse the body; tasks can be "
                     "learned on it")
    with torch.device("meta"):
        expected = torch.nn.Module.state_dict(MaskedLM(shape, int(settings["vocab_size"])))
    for key in [key for key in expected if key not in tensors] + list(tensors):
        got = tuple(tensors[key].shape) if key in tensors else "missing"
        wanted = tuple(expected[key].shape) if key in expected else "nothing of that name"
        if got != wanted:
            raise UserError(f"{name}: {key} is {got}, config.json needs {wanted}; take both files from one checkpoint")
    if keep_layers is not None:
        if keep_layers > shape.layers:
            raise UserError(f"--keep-layers {keep_layers}: {name} has {shape.layers} layers")
        made["layers_kept"], made["layers_of_source"] = keep_layers, shape.layers
        shape = replace(shape, layers=keep_layers)
        tensors = {key: tensor for key, tensor in tensors.items()
                   if not key.startswith("encoder.layers.") or int(key.split(".")[2]) < keep_layers}
    body = Body(shape, {key: tensor.clone() for key, tensor in tensors.items() if key not in VOCABULARY_INDEXED}, made=made)
    if body_only:
        return body, None, notes
    assert language is not None
    pieces, rows = read_tokenizer(name, folder, tokenizer, str(settings["model_type"]))
    if text is not None:
        from adapt.surgery.prune import pruned
        from adapt.text.corpus import Corpus

        pieces = pruned(pieces, (line for document in Corpus([text], "line", settable=False) for line in document))
    embedding = embedding_of(name, tensors[EMBEDDING_WEIGHT], tensors[OUTPUT_BIAS], pieces, rows, language, body)
    return body, embedding, notes


def _drawn_head(shape: Any, rows: int) -> dict[str, Tensor]:
    import torch

    from pretrain.masked_lm import LMHead

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(HEAD_SEED)
        drawn = LMHead(shape, int(rows))
    return {f"lm_head.{name}": tensor for name, tensor in drawn.state_dict().items()}


def read_tokenizer(name: str, folder: Path, given: str | None, model_type: str) -> tuple[Tokenizer, Mapping[str, int]]:
    """The model's tokenizer, and which row of its table each of our symbols has.

    Raises:
        UserError: there is none, or one that does not say which rows its pieces have.
    """
    from adapt.formats.huggingface.folder import OWN_MODEL
    from adapt.formats.huggingface.rows import read_rows
    from adapt.text.tokenizer import Tokenizer
    from pretrain.base.vocabulary import SPECIALS

    if not given and (folder / OWN_MODEL).is_file():
        return Tokenizer.load(folder / OWN_MODEL), read_rows(folder).rows
    names = ("tokenizer.json", "vocab.txt", "vocab.json", *SENTENCEPIECE)
    found = Path(given) if given else next((folder / file for file in names if (folder / file).is_file()), None)
    if found is None:
        raise UserError(f"{name}: no tokenizer beside the model ({', '.join(names)}); add it, name it with --tokenizer, or take "
                        "the body alone with --body-only")
    pieces = Tokenizer.load(found)
    symbols = pieces.vocabulary.symbols
    if pieces.file_name == "tokenizer.json":
        return pieces, {symbol: int(row) for symbol, row in zip(symbols, pieces.file_ids, strict=True) if row >= 0}
    if model_type != "xlm-roberta":
        raise UserError(f"{name}: {found.name} does not say which row of the table a piece has; add tokenizer.json, which does "
                        "(transformers' save_pretrained writes it)")
    # fairseq's numbers: its four specials, the pieces one later than SentencePiece has them, the mask last
    rows = {symbol: row for row, symbol in enumerate(SPECIALS)}
    return pieces, {**{symbol: int(row) + 1 for symbol, row in zip(symbols[4:-1], pieces.file_ids[4:-1], strict=True)}, **rows,
                    symbols[-1]: pieces.file_size + 1}


def embedding_of(name: str, weight: Tensor, bias: Tensor, pieces: Tokenizer, rows: Mapping[str, int], language: str,
                 body: Body) -> Embedding:
    """The embedding module: their rows in our order, with the map back.

    Raises:
        UserError: the tokenizer has pieces beyond the table.
    """
    import torch

    from adapt.artefacts.embedding import Embedding
    from adapt.formats.fairseq import take_rows
    from pretrain.base.language import check_language

    highest = max(rows, key=rows.__getitem__)
    if rows[highest] >= len(weight):
        raise UserError(f"{name}: its tokenizer gives {highest!r} row {rows[highest]:,}, the token table has {len(weight):,} "
                        "rows; tokens were added to the tokenizer alone: take tokenizer and model from one checkpoint")
    new_weight, new_bias, drawn = take_rows(weight, bias, rows, pieces)
    foreign = torch.tensor([rows.get(symbol, -1) for symbol in pieces.vocabulary.symbols])
    made = {**body.made, "rows_drawn": drawn, "rows_left_out": len(weight) - (len(foreign) - drawn), "foreign_rows": len(weight)}
    return Embedding(new_weight, new_bias, pieces, check_language(language), body.lineage, made, foreign=foreign)
