"""The Embedding module artefact: tokenizer, token embedding [V, E], output bias [V] and their record (docs/artefacts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt.artefacts.card import model_card
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts import lexicon
from pretrain.artefacts.body import ELECTRA
from pretrain.artefacts.lexicon import under
from pretrain.artefacts.pair import sort_tensors
from pretrain.artefacts.tensors import check_floats, fingerprint, load_tensors, save_tensors
from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, read_record, require_folder, write_json
from pretrain.masked_lm import EMBEDDING_WEIGHT, OUTPUT_BIAS, MaskedLM

FORMAT, VERSION = lexicon.FORMAT, lexicon.VERSION
EXTRA, FOREIGN, GENERATOR = lexicon.EXTRA, lexicon.FOREIGN, lexicon.GENERATOR


@dataclass
class Embedding:
    """One language's embedding module.

    Attributes:
        weight: token embedding [V, E].
        bias: output bias [V].
        tokenizer: whose pieces number the rows.
        language: BCP-47 code.
        lineage: lineage of the body it was learned against.
        made: initialiser, seed, updates, tokens seen, held-out loss, data hash.
        extras: further tensors that the adaptation trained on request (positions, LayerNorm, …) under their names in
            the model; they take the place of the body's while this embedding is in use.
        generator: for an ELECTRA body, what only its generator uses: `weight` [V, E] where its table is not the
            discriminator's, `hardness_bias` [V] where it has a hardness head. `weight` above is the discriminator's table,
            `bias` the generator's output bias.
        foreign: for an imported embedding, the row that each row had in the model it comes from [V], -1 for a drawn one.
    """

    weight: Tensor
    bias: Tensor
    tokenizer: Tokenizer
    language: str
    lineage: str
    made: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Tensor] = field(default_factory=dict)
    generator: dict[str, Tensor] = field(default_factory=dict)
    foreign: Tensor | None = None

    def __post_init__(self) -> None:
        rows = len(self.tokenizer.vocabulary)
        if self.weight.ndim != 2 or self.weight.size(0) != rows or self.bias.shape != (rows,):
            raise UserError(f"embedding weight {tuple(self.weight.shape)} and bias {tuple(self.bias.shape)} do not match "
                            f"the tokenizer's {rows} rows")

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight, "bias": self.bias, **{EXTRA + name: t for name, t in self.extras.items()},
                **{GENERATOR + name: t for name, t in self.generator.items()},
                **({FOREIGN: self.foreign} if self.foreign is not None else {})}

    @property
    def width(self) -> int:
        return self.weight.size(1)

    @classmethod
    def of_model(cls, model: MaskedLM, tokenizer: Tokenizer, language: str, lineage: str, **made: Any) -> Embedding:
        """The embedding module of a model, as copies of its tensors."""
        state = torch.nn.Module.state_dict(model)
        weight, bias = (state[name].detach().cpu().clone() for name in (EMBEDDING_WEIGHT, OUTPUT_BIAS))
        return cls(weight, bias, tokenizer, language, lineage, made)

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], backbone: str, tokenizer: Tokenizer, language: str, lineage: str,
                 made: dict[str, Any]) -> Embedding:
        """The embedding module in the state dict of a language adaptation; what it holds beyond the lexicon are extras.

        A disentangled table is folded: `weight` is what the discriminator sees. Tensors are not copied, but for that.
        """
        if backbone == ELECTRA:
            found = sort_tensors(state)
            return cls(found.weight, found.bias, tokenizer, language, lineage, made, found.body, found.generator_lexicon)
        extras = {name: tensor for name, tensor in sorted(state.items()) if name not in (EMBEDDING_WEIGHT, OUTPUT_BIAS)}
        return cls(state[EMBEDDING_WEIGHT], state[OUTPUT_BIAS], tokenizer, language, lineage, made, extras)

    def record(self) -> dict[str, Any]:
        """The content of `embedding.json`."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "language": self.language,
            "rows": self.weight.size(0),
            "width": self.width,
            "special_tokens": self.tokenizer.vocabulary.special_ids(),
            "tokenizer_sha256": self.tokenizer.sha256,
            "fingerprint": fingerprint(self.tensors),
            "lineage": self.lineage,
            "extras": sorted(self.extras),
            **({"generator": sorted(self.generator)} if self.generator else {}),
            "made": self.made,
        }

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes the artefact's four files into the folder `path`, whole or not at all."""
        record = self.record()
        with atomic_folder(path, overwrite) as folder:
            save_tensors(folder / "embedding.safetensors", self.tensors)
            self.tokenizer.save_in(folder)
            write_json(folder / "embedding.json", record)
            (folder / "README.md").write_text(model_card(record), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Embedding:
        """Reads and verifies an embedding module.

        Raises:
            UserError: not an embedding, damaged, holding NaN, or with another tokenizer than it was trained with.
        """
        path = require_folder(path, "an embedding (a folder with embedding.json, embedding.safetensors and a tokenizer)")
        record = read_record(path / "embedding.json", "the record of an embedding (embedding.json)", FORMAT, VERSION)
        language, lineage, made = record.language(), record.text("lineage"), record.optional_table("made")
        tensors = load_tensors(path / "embedding.safetensors", "the tensors of an embedding")
        check_floats({name: tensor for name, tensor in tensors.items() if name != FOREIGN}, path / "embedding.safetensors",
                     "the tensors of an embedding")
        for name in ("weight", "bias"):
            if name not in tensors:
                found = ", ".join(sorted(tensors)[:8]) or "nothing"
                raise UserError(f"{path / 'embedding.safetensors'}: tensor {name!r} is missing, found {found}; copy the "
                                "folder again")
        tokenizer = Tokenizer.load(path)
        for what, got, expected in (
            (f"{tokenizer.file_name} has SHA-256", tokenizer.sha256, record.text("tokenizer_sha256")),
            ("embedding.safetensors has fingerprint", fingerprint(tensors), record.text("fingerprint")),
        ):
            if got != expected:
                raise UserError(f"{path}: {what} {got[:12]}, embedding.json says {expected[:12]}; the files were changed or "
                                "mixed up: copy the folder again")
        return cls(tensors["weight"], tensors["bias"], tokenizer, language, lineage, made,
                   under(tensors, EXTRA), under(tensors, GENERATOR), tensors.get(FOREIGN))
