"""fairseq's RoBERTa with GPT-2's tokenizer: its dictionary's symbols are GPT-2's ids, written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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


def test_rows_keep_the_numbers_of_the_dictionary(tmp_path):
    model, symbols, vocabulary = write(tmp_path)
    assert main(["import", str(tmp_path / "model.pt"), "--language", "en", "--output", str(tmp_path / "out")]) == 0
    embedding = Embedding.load(tmp_path / "out" / "embedding")
    names = {piece: str(row) for piece, row in vocabulary.items()}
    expected = [symbols.index(names.get(piece, piece)) for piece in embedding.tokenizer.vocabulary.symbols]
    assert embedding.foreign is not None and embedding.foreign.tolist() == expected == embedding.tokenizer.file_ids.tolist()
    assert (embedding.made["foreign_rows"], embedding.made["rows_left_out"]) == (len(symbols), 1)
    assert torch.equal(embedding.weight, model.encoder.embed_tokens.weight[expected])


def test_stock_fairseq_opens_what_goes_out_again_with_the_same_ids(tmp_path, capsys):
    pytest.importorskip("fairseq")
    from fairseq.models.roberta import RobertaModel

    model, symbols, _ = write(tmp_path)
    assert main(["import", str(tmp_path / "model.pt"), "--language", "en", "--output", str(tmp_path / "out")]) == 0
    assert main(["export", "--body", str(tmp_path / "out"), "--to", "fairseq", "--output", str(tmp_path / "again")]) == 0
    assert 'bpe="gpt2", gpt2_encoder_json=' in capsys.readouterr().out
    again = tmp_path / "again"
    before, after = ([line.split()[0] for line in (folder / "dict.txt").read_text().splitlines()] for folder in (tmp_path, again))
    assert after[:-1] == before[:-1] and after[-1].startswith("madeupword")  # which no piece has
    theirs = RobertaModel.from_pretrained(str(again), "model.pt", bpe="gpt2", gpt2_encoder_json=str(again / "encoder.json"),
                                          gpt2_vocab_bpe=str(again / "vocab.bpe")).eval()
    pieces = Embedding.load(tmp_path / "out" / "embedding").tokenizer
    for text in ("old books about rivers", "12 孩子 👍🏽"):
        ids = theirs.encode(text)
        assert ids.tolist() == [0, *pieces.file_ids[pieces.encode(text)].tolist(), 2]
        kept = [row for row, symbol in enumerate(symbols) if not symbol.startswith("madeup")]
        with torch.no_grad():
            torch.testing.assert_close(theirs.model(ids[None])[0][..., kept], model(ids[None])[..., kept], rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("kind, said", [
    ("bert", "WordPiece pieces"), ("xlm-roberta", "Unigram pieces")])
def test_a_tokenizer_that_fairseq_has_not_is_refused(kind, said, tmp_path, capsys):
    pytest.importorskip("transformers")
    from .models import make

    make(kind, tmp_path / "theirs", type_vocab_size=1, layer_norm_eps=1e-5)
    assert main(["import", str(tmp_path / "theirs"), "--language", "en", "--output", str(tmp_path / "in")]) == 0
    assert main(["export", "--body", str(tmp_path / "in"), "--to", "fairseq", "--output", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("relexify: error: ") and said in line and "use --to huggingface" in line


def test_huggingfaces_roberta_goes_out_for_fairseq(tmp_path):
    pytest.importorskip("fairseq")
    pytest.importorskip("transformers")
    from fairseq.models.roberta import RobertaModel

    from .models import make

    model = make("roberta", tmp_path / "theirs", layer_norm_eps=1e-5)
    assert main(["import", str(tmp_path / "theirs"), "--language", "en", "--output", str(tmp_path / "in")]) == 0
    assert main(["export", "--body", str(tmp_path / "in"), "--to", "fairseq", "--output", str(tmp_path / "out")]) == 0
    out = tmp_path / "out"
    theirs = RobertaModel.from_pretrained(str(out), "model.pt", bpe="gpt2", gpt2_encoder_json=str(out / "encoder.json"),
                                          gpt2_vocab_bpe=str(out / "vocab.bpe")).eval()
    embedding = Embedding.load(tmp_path / "in" / "embedding")
    pieces = embedding.tokenizer
    ids = pieces.encode("old books about rivers")
    found = theirs.encode("old books about rivers")
    names = theirs.task.source_dictionary
    numbers = json.loads((out / "encoder.json").read_text())
    assert [names[row] for row in found[1:-1].tolist()] == [str(numbers[pieces.vocabulary.symbols[token]]) for token in ids]
    assert embedding.foreign is not None
    with torch.no_grad():
        expected = model(embedding.foreign[torch.tensor([[0, *ids, 2]])]).logits[..., embedding.foreign[ids[0]]]
        own = names.index(str(numbers[pieces.vocabulary.symbols[ids[0]]]))
        torch.testing.assert_close(theirs.model(found[None])[0][..., own], expected, rtol=1e-4, atol=3e-5)


def test_without_a_tokenizer_the_line_says_what_is_missing(tmp_path, capsys):
    write(tmp_path)
    (tmp_path / "encoder.json").unlink()
    assert main(["import", str(tmp_path / "model.pt"), "--language", "en", "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "encoder.json and vocab.bpe" in said
