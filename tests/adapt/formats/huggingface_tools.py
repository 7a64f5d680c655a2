"""Random ELECTRAs in Hugging Face folders and of ours, for the tests of importing and exporting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapt.artefacts.embedding import Embedding
from adapt.formats.huggingface_import import import_electra
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.artefacts.pair import pair_body, sort_tensors
from pretrain.base.checkpoints import guard_torchaudio
from pretrain.base.vocabulary import PAD
from pretrain.electra.networks import Electra, ElectraConfig, generator_config
from pretrain.encoder import EncoderConfig

guard_torchaudio()
transformers = pytest.importorskip("transformers")
POSITIONS = 12
SMALL = {"embedding_size": 8, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2}
GENERATORS = {
    "small": {"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 6},  # a quarter, as in the paper
    "small++": {},  # as wide as the discriminator, as released
}
BASE = {**SMALL, "embedding_size": 16}
PAIRS = {"small": (SMALL, {**SMALL, **GENERATORS["small"]}), "small++": (SMALL, {**SMALL, **GENERATORS["small++"]}),
         "base": (BASE, {**BASE, "hidden_size": 6, "num_attention_heads": 1, "intermediate_size": 9})}
TEXT = ["der hund läuft durch den wald", "kinder lernen in der schule 1 2 3"]


def randomised(model: Any) -> Any:
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)  # biases, LayerNorms and token types too
    return model.eval()


class Theirs:
    """A random ELECTRA in two folders, its pieces numbered otherwise than ours: `[PAD]`, pieces backwards, specials."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, kind: str, share: str = "embedding", **changes: Any):
        self.folder, self.tokenizer = folder, tokenizer
        self.pieces = ["[PAD]", *reversed(tokenizer.vocabulary.pieces), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        settings = {"vocab_size": len(self.pieces), "max_position_embeddings": POSITIONS, "pad_token_id": 0, **changes}
        shapes = PAIRS[kind]
        self.discriminator = randomised(transformers.ElectraForPreTraining(transformers.ElectraConfig(**shapes[0], **settings)))
        self.generator = randomised(transformers.ElectraForMaskedLM(transformers.ElectraConfig(**shapes[1], **settings)))
        own, other = self.discriminator.electra.embeddings, self.generator.electra.embeddings
        with torch.no_grad():
            if share != "none":
                other.word_embeddings.weight.copy_(own.word_embeddings.weight)
            else:
                other.word_embeddings.weight.add_(1)
            if share == "embedding":
                other.load_state_dict(own.state_dict())
            elif share == "token":
                other.position_embeddings.weight.add_(0.1)
        for name, model in (("discriminator", self.discriminator), ("generator", self.generator)):
            model.save_pretrained(folder / name)
            self.write_vocabulary(folder / name)

    def write_vocabulary(self, folder: Path) -> None:
        (folder / "spiece.model").write_bytes(self.tokenizer.model)
        vocabulary = [[piece, 0.0] for piece in self.pieces]
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": vocabulary}}))

    @property
    def order(self) -> Tensor:
        """Their row of each of our ids."""
        names = {"<s>": "[CLS]", "<pad>": "[PAD]", "</s>": "[SEP]", "<unk>": "[UNK]", "<mask>": "[MASK]"}
        return torch.tensor([self.pieces.index(names.get(symbol, symbol)) for symbol in self.tokenizer.vocabulary.symbols])

    def run(self, **options: Any) -> tuple[Body, Embedding]:
        import_electra(str(self.folder / "discriminator"), str(self.folder / "generator"), self.folder / "out", language="de",
                       **options)
        return Body.load(self.folder / "out" / "body"), Embedding.load(self.folder / "out" / "embedding")


def batch(rows: int, seed: int) -> Tensor:
    tokens = torch.randint(2, rows, (5, POSITIONS), generator=torch.Generator().manual_seed(seed))
    tokens[:, 0] = 0
    for row, length in enumerate((POSITIONS, 9, 5, 2, 1)):
        tokens[row, length:] = PAD
    return tokens


@torch.no_grad()
def same_logits(pair: Electra, discriminator: Any, generator: Any, order: Tensor) -> None:
    """Logits equal to 1e-5 at the real tokens of padded batches."""
    assert pair.generator is not None
    for seed in range(3):
        tokens = batch(len(order), seed)
        real, theirs = tokens != PAD, {"input_ids": order[tokens], "attention_mask": tokens.ne(PAD).long()}
        torch.testing.assert_close(pair.detect(tokens)[real], discriminator(**theirs).logits[real], rtol=1e-5, atol=1e-5)
        expected = generator(**theirs).logits[real][..., order]
        torch.testing.assert_close(pair.generator(tokens)[real], expected, rtol=1e-5, atol=1e-5)


def ours(tokenizer: Tokenizer, tying: str = "embedding", width: int = 16, embedding_width: int = 8, generator: float = 0.5,
         hardness: str = "none") -> tuple[Body, Embedding, Electra]:
    shape = EncoderConfig(layers=2, width=width, heads=2, ffn=24, embedding_width=embedding_width, max_positions=POSITIONS,
                          norm_eps=1e-12)
    model = randomised(Electra(ElectraConfig(shape, generator_config(shape, generator, 1), tying, hardness),
                               len(tokenizer.vocabulary)))
    tensors = sort_tensors(model.state_dict())
    body = pair_body(model.config, tensors, made={"seed": 5})
    return body, Embedding(tensors.weight, tensors.bias, tokenizer, "de", body.lineage,
                           generator=tensors.generator_lexicon), model


def opened(folder: Path) -> tuple[Any, Any]:
    found = []
    for kind, name in ((transformers.ElectraForPreTraining, "discriminator"), (transformers.ElectraForMaskedLM, "generator")):
        model, info = kind.from_pretrained(folder / name, output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        found.append(model.eval())
    return found[0], found[1]
