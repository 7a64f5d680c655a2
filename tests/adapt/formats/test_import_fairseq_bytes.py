"""fairseq's RoBERTa with GPT-2's tokenizer: its dictionary's symbols are GPT-2's ids, written out."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.formats.names import to_fairseq
from pretrain.artefacts.body import Body
from pretrain.encoder import Dropout, EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.cli import main
from tests.foreign import ROBERTA, saved

SHAPE = EncoderConfig(layers=2, width=16, heads=2, ffn=24, embedding_width=16, max_positions=20)


def write(folder: Path) -> tuple[MaskedLM, list[str], dict[str, int]]:
    """model.pt, dict.txt, encoder.json and vocab.bpe; the model, the symbols of its rows, and GPT-2's ids."""
    content = json.loads(saved("bytes"))["model"]
    vocabulary = {piece: row for row, piece in enumerate(piece for piece in content["vocab"] if piece not in ROBERTA)}
    (folder / "encoder.json").write_text(json.dumps(vocabulary))
    (folder / "vocab.bpe").write_text("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in content["merges"]))
    numbers = [str(row) for row in reversed(range(len(vocabulary)))]  # by frequency, as fairseq sorts them
    (folder / "dict.txt").write_text("".join(f"{number} 5\n" for number in [*numbers, "madeupword0000"]))
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *numbers, "madeupword0000", "<mask>"]
    torch.manual_seed(2)
    model = MaskedLM(SHAPE, len(symbols), Dropout(0, 0, 0)).eval()
    torch.save({"model": to_fairseq(model.state_dict()), "args": None, "cfg": {"model": {"encoder_attention_heads": 2}}},
               folder / "model.pt")
    return model, symbols, vocabulary


def test_logits_follow_the_dictionary(tmp_path):
    model, symbols, vocabulary = write(tmp_path)
    assert main(["import", str(tmp_path / "model.pt"), "--language", "en", "--output", str(tmp_path / "out")]) == 0
    embedding = Embedding.load(tmp_path / "out" / "embedding")
    ours = assemble(Body.load(tmp_path / "out" / "body"), embedding)
    pieces = embedding.tokenizer
    names = {piece: str(row) for piece, row in vocabulary.items()}
    order = torch.tensor([symbols.index(names.get(piece, piece)) for piece in pieces.vocabulary.symbols])
    ids = torch.tensor([[0, *pieces.encode("old books about rivers"), 2]])
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), model(order[ids])[..., order], rtol=1e-5, atol=1e-5)


def test_without_a_tokenizer_the_line_says_what_is_missing(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "encoder.json").unlink()
    assert main(["import", str(tmp_path / "model.pt"), "--language", "en", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "encoder.json and vocab.bpe" in said and not (tmp_path / "out").exists()
