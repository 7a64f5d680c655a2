"""Reading and writing model folders: `config.json`, and tensors as safetensors, in one file or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.artefacts.hub import HUB, snapshot
from pretrain.base.errors import UserError
from pretrain.base.files import read_json, require_file, require_folder, write_json

if TYPE_CHECKING:
    from torch import Tensor

    from pretrain.encoder import EncoderConfig

CONFIG = "config.json"
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
OWN_ROWS = "relexify.safetensors"
"""What an export of ours keeps beside the model so that importing it again gives the same body, bit for bit."""
OWN_MODEL = "relexify.model"
"""The SentencePiece model in an export of ours: under a usual name, transformers would number its pieces in its own way."""
NEEDED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.bin")
"""Of a repository on the hub, everything else is other frameworks' weights."""

ELECTRA_DEFAULTS: dict[str, Any] = {
    "vocab_size": 30522, "embedding_size": 128, "hidden_size": 256, "num_hidden_layers": 12, "num_attention_heads": 4,
    "intermediate_size": 1024, "hidden_act": "gelu", "max_position_embeddings": 512, "layer_norm_eps": 1e-12,
    "is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}
"""What transformers' ElectraConfig takes where config.json is silent."""


def locate_model(name: str) -> Path:
    """The folder of a model: a local one, or a snapshot of the hub's where the user wrote `hf:OWNER/NAME[@REVISION]`.

    Raises:
        UserError: no such folder, or the hub does not give it.
    """
    if not name.startswith(HUB):
        return require_folder(name, "a model folder (config.json and model.safetensors; hf:OWNER/NAME for the hub)")
    return snapshot(name, NEEDED)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of an ELECTRA model, with the defaults filled in.

    Raises:
        UserError: another kind of model, or one that computes something else than this project's encoder.
    """
    path = folder / CONFIG
    config = read_json(path, "the configuration of a Hugging Face model")
    if not isinstance(config, dict) or config.get("model_type") != "electra":
        got = config.get("model_type") if isinstance(config, dict) else type(config).__name__
        raise UserError(f"{path}: model_type is {got!r}, expected 'electra'; only ELECTRA models can be imported")
    config = {**ELECTRA_DEFAULTS, **config}
    for name in ("hidden_act", "is_decoder", "add_cross_attention", "position_embedding_type"):
        if config[name] != ELECTRA_DEFAULTS[name]:
            raise UserError(f"{path}: {name} is {config[name]!r}, this project's encoder has {ELECTRA_DEFAULTS[name]!r}; "
                            "such a model cannot be taken over")
    return config


def shape_of(config: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path) -> EncoderConfig:
    """The encoder's shape as config.json gives it.

    Raises:
        UserError: the tensors have another shape. The published small generator is as wide as its discriminator, not a
            quarter as the paper's: a configuration written by hand after the paper does not fit it.
    """
    from adapt.formats.electra_names import POSITIONS, WORDS
    from adapt.formats.names import count_layers
    from pretrain.encoder import EncoderConfig

    layer = "electra.encoder.layer.0."
    facts: list[tuple[str, int]] = [("num_hidden_layers", count_layers(state))]
    for field, name, axis in (("vocab_size", WORDS, 0), ("embedding_size", WORDS, 1),
                              ("hidden_size", layer + "attention.self.query.weight", 0),
                              ("intermediate_size", layer + "intermediate.dense.weight", 0),
                              ("max_position_embeddings", POSITIONS, 0)):
        if name in state:
            facts.append((field, state[name].size(axis)))
    wrong = [f"{field} {config[field]} and {got}" for field, got in facts if config[field] != got]
    if wrong:
        raise UserError(f"{folder}: {CONFIG} and the tensors disagree about {', '.join(wrong)}; take both files from one "
                        "checkpoint (a generator's shape is its own, whatever the paper says about its size)")
    try:
        return EncoderConfig(
            layers=config["num_hidden_layers"], width=config["hidden_size"], heads=config["num_attention_heads"],
            ffn=config["intermediate_size"], embedding_width=config["embedding_size"],
            max_positions=config["max_position_embeddings"], norm_eps=config["layer_norm_eps"])
    except UserError as error:
        raise UserError(f"{folder / CONFIG}: {error}") from None


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a model, as fp32 on the CPU.

    Raises:
        UserError: no weights in a format that is read, damaged files, or values that are not finite.
    """
    for name in (SAFE, PICKLED):
        if (folder / name).is_file():
            return _read(folder / name)
        if (folder / (name + INDEX)).is_file():
            return _read_parts(folder / (name + INDEX))
    found = sorted(path.name for path in folder.iterdir() if path.is_file())
    raise UserError(f"{folder}: expected {SAFE} or {PICKLED} (or their {INDEX}), found "
                    f"{', '.join(found[:8]) or 'no files'}; save the model with transformers' save_pretrained")


def _read_parts(index: Path) -> dict[str, Tensor]:
    content = read_json(index, "the index of a model's parts")
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not all(isinstance(part, str) and Path(part).name == part
                                               for part in places.values()):
        raise UserError(f"{index}: expected weight_map with names of files beside it; copy the folder again")
    tensors: dict[str, Tensor] = {}
    for part in sorted(set(places.values())):
        tensors.update(_read(index.parent / part))
    absent = sorted(set(places) - set(tensors))
    if absent:
        raise UserError(f"{index}: tensor {absent[0]!r} is not in {places[absent[0]]}; copy the folder again")
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    import torch

    from pretrain.artefacts.tensors import load_tensors

    if path.suffix == ".safetensors":
        tensors = load_tensors(path, "the tensors of a model")
    else:
        import pickle
        import warnings

        require_file(path, "the tensors of a model")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is odd about a pickle is said in the error
                tensors = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or ["damaged"])[0]
            raise UserError(f"{path}: could not be read as plain tensors ({reason}); copy it again, or save the model as "
                            "safetensors") from None
        if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
            raise UserError(f"{path}: expected named tensors, found {type(tensors).__name__}; save the model with "
                            "transformers' save_pretrained")
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise UserError(f"{path}: tensor {name!r} holds NaN or infinite values; the training that wrote it diverged")
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def write_model(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """`config.json` and `model.safetensors`, into a folder that the caller makes atomic."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG, dict(config))
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, str(folder / SAFE),
              metadata={"format": "pt"})  # transformers refuses a file without this mark
