"""Tiny models of transformers with random weights, saved as their published like are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.foreign import saved

TOKENIZERS = {"bert": "wordpiece", "mpnet": "wordpiece", "roberta": "bytes", "camembert": "unigram", "xlm-roberta": "unigram"}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "camembert": "Camembert", "xlm-roberta": "XLMRoberta", "mpnet": "MPNet"}


def tokenizer_of(family: str) -> bytes:
    """A `tokenizer.json` as the family has it; MPNet's has <s> and others besides BERT's own tokens."""
    content = json.loads(saved(TOKENIZERS[family]))
    if family == "mpnet":
        vocabulary = content["model"]["vocab"]
        for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
            vocabulary[token] = len(vocabulary)
        content["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", vocabulary["</s>"]], "trim_offsets": True,
                                     "cls": ["<s>", vocabulary["<s>"]], "add_prefix_space": False}
    return json.dumps(content, ensure_ascii=False).encode()


def make(family: str, folder: Path, *, head: bool = True, **settings: Any) -> Any:
    """Writes a model of `family` with its tokenizer; returns it, in evaluation mode."""
    import tokenizers
    import transformers

    data = tokenizer_of(family)
    library = tokenizers.Tokenizer.from_str(data.decode())
    rows = library.get_vocab_size()
    pad = library.token_to_id("[PAD]" if family == "bert" else "<pad>")
    name = CLASSES[family]
    config = getattr(transformers, f"{name}Config")(**{
        "vocab_size": rows, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
        "max_position_embeddings": 80, "pad_token_id": pad, "initializer_range": 0.3, "layer_norm_eps": 1e-6,
        **({"type_vocab_size": 2 if family == "bert" else 1} if family != "mpnet" else {}), **settings})
    torch.manual_seed(11)
    model = getattr(transformers, f"{name}{'ForMaskedLM' if head else 'Model'}")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(data)
    return model.eval()
