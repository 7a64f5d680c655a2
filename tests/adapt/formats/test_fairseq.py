"""fairseq checkpoints become a Body and an Embedding that compute the same logits; what does not fit is refused."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adapt.artefacts.assemble import assemble
from adapt.artefacts.embedding import Embedding
from adapt.formats.fairseq import import_checkpoint, read_dictionary
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD, SPECIALS
from recipes.commands.exchange.import_fairseq import add_arguments, run

pytest.importorskip("fairseq")
ROOT = Path(__file__).resolve().parents[3]
LAYERS, WIDTH, HEADS, FFN, POSITIONS = 2, 16, 4, 24, 12


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(4)
    words = ["".join(rng.choices("abdegiklmnorstu", k=rng.randint(2, 7))) for _ in range(80)]
    path = tmp_path_factory.mktemp("spm") / "sentencepiece.bpe.model"
    path.write_bytes(train_tokenizer([" ".join(rng.choices(words, k=12)) for _ in range(200)], 60))
    return path


class Stock:
    """A tiny stock-fairseq RoBERTa as fairseq's masked_lm task builds it, and the files that belong to it."""

    def __init__(self, folder: Path, symbols: list[str], **settings: Any):
        from pretrain.base.checkpoints import prepare_fairseq

        prepare_fairseq()
        from fairseq.data import Dictionary
        from fairseq.models.roberta import RobertaModel

        self.folder, self.dict = folder, folder / "dict.txt"
        self.dict.write_text("".join(f"{symbol} {100 - n}\n" for n, symbol in enumerate(symbols)), encoding="utf-8")
        self.dictionary = Dictionary.load(str(self.dict))
        self.dictionary.add_symbol("<mask>")
        self.args = argparse.Namespace(encoder_layers=LAYERS, encoder_embed_dim=WIDTH, encoder_ffn_embed_dim=FFN,
                                       encoder_attention_heads=HEADS, max_positions=POSITIONS, **settings)
        torch.manual_seed(9)
        self.model = RobertaModel.build_model(self.args, argparse.Namespace(source_dictionary=self.dictionary)).eval()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)

    def write(self, name: str = "model.pt", **changes: Any) -> Path:
        content = {"args": None, "cfg": {"_name": None, "model": {"_name": "roberta", **vars(self.args)}},
                   "model": self.model.state_dict(), "optimizer_history": [{"num_updates": 700}], "extra_state": {}}
        torch.save({**content, **changes}, self.folder / name)
        return self.folder / name

    def compare(self, output: Path) -> None:
        """Equal logits, symbol by symbol, at the real tokens of padded batches."""
        body, embedding = Body.load(output / "body"), Embedding.load(output / "embedding")
        assert (body.config.heads, body.config.max_positions) == (HEADS, POSITIONS)
        assert embedding.lineage == body.lineage
        assert body.made["updates"] == 700
        symbols = embedding.tokenizer.vocabulary.symbols
        theirs_of_ours = torch.tensor([self.dictionary.index(symbol) for symbol in symbols])
        model = assemble(body, embedding)
        for seed in range(3):
            tokens = _padded_batch(len(symbols), seed)
            with torch.no_grad():
                expected = self.model(theirs_of_ours[tokens])[0][..., theirs_of_ours]
                got = model(tokens)
            torch.testing.assert_close(got[tokens != PAD], expected[tokens != PAD], rtol=1e-4, atol=3e-5)


def _padded_batch(rows: int, seed: int) -> Tensor:
    tokens = torch.randint(3, rows, (5, POSITIONS), generator=torch.Generator().manual_seed(seed))  # with <mask>
    tokens[:, 0] = 0
    for row, length in enumerate((POSITIONS, 9, 5, 2, 1)):
        tokens[row, length:] = PAD
    return tokens


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory, sentencepiece: Path) -> Stock:
    """Pieces in the tokenizer's order."""
    return Stock(tmp_path_factory.mktemp("roberta"), Tokenizer.load(sentencepiece).vocabulary.pieces)


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory: pytest.TempPathFactory, sentencepiece: Path) -> Stock:
    """Pieces permuted, symbols that the tokenizer lacks among them, and fairseq's padding words."""
    symbols = [*Tokenizer.load(sentencepiece).vocabulary.pieces, "▁elsewhere", "[en_XX]"]
    random.Random(2).shuffle(symbols)
    symbols += [f"madeupword{n:04d}" for n in range(-(len(symbols) + 4) % 8)] + ["madeupword0099"]
    return Stock(tmp_path_factory.mktemp("xlmr"), symbols)


def test_roberta_logits(roberta: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    report = import_checkpoint(roberta.write(), roberta.dict, sentencepiece, "en", tmp_path / "out")
    assert (report["rows_drawn"], report["rows_left_out"]) == (0, 0)
    roberta.compare(tmp_path / "out")


def test_xlmr_logits_from_the_command(xlmr: Stock, sentencepiece: Path, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([str(xlmr.write()), "--dict", str(xlmr.dict), "--sentencepiece", str(sentencepiece),
                              "--language", "mul", "--output", str(tmp_path / "out")])
    assert run(args) == 0
    assert "left out" in capsys.readouterr().out
    xlmr.compare(tmp_path / "out")
    assert Embedding.load(tmp_path / "out/embedding").language == "mul"


def test_table_padded_beyond_the_mask(roberta: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    rows = len(roberta.dictionary)
    more = -rows % 8 or 8
    state = {name: torch.cat([tensor, torch.full((more, *tensor.shape[1:]), 7.0)]) if len(tensor) == rows else tensor
             for name, tensor in roberta.model.state_dict().items()}
    import_checkpoint(roberta.write("padded.pt", model=state), roberta.dict, sentencepiece, "en", tmp_path / "out")
    roberta.compare(tmp_path / "out")


def test_settings_of_old_checkpoints(roberta: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in roberta.model.state_dict().items()}
    for number, changes in enumerate((
        {"cfg": None, "args": roberta.args},
        {"cfg": {"model": roberta.args}},
        {"cfg": None, "args": roberta.args, "model": half},
    )):
        report = import_checkpoint(roberta.write("old.pt", **changes), None, None, None, tmp_path / str(number),
                                   body_only=True)
        assert report["architecture"]["heads"] == HEADS
        assert {t.dtype for t in Body.load(tmp_path / str(number) / "body").tensors.values()} == {torch.float32}
        assert not (tmp_path / str(number) / "embedding").exists()


def test_heads(roberta: Stock, tmp_path: Path) -> None:
    path = roberta.write("bare.pt", cfg=None)
    with pytest.raises(UserError, match="--heads N"):
        import_checkpoint(path, None, None, None, tmp_path / "a", body_only=True)
    assert import_checkpoint(path, None, None, None, tmp_path / "b", body_only=True,
                             heads=HEADS)["architecture"]["heads"] == HEADS
    with pytest.raises(UserError, match=r"--heads 8: .* has 4 attention heads"):
        import_checkpoint(roberta.write(), None, None, None, tmp_path / "c", body_only=True, heads=8)


def test_pieces_without_a_row(roberta: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    stock = Stock(tmp_path, Tokenizer.load(sentencepiece).vocabulary.pieces[3:])
    first = Tokenizer.load(sentencepiece).vocabulary.pieces[0]
    with pytest.raises(UserError, match=r"3 of the tokenizer's .* --missing draw") as error:
        import_checkpoint(stock.write(), stock.dict, sentencepiece, "en", tmp_path / "out")
    assert repr(first) in str(error.value)
    assert not (tmp_path / "out").exists()
    assert import_checkpoint(stock.write(), stock.dict, sentencepiece, "en", tmp_path / "out",
                             missing="draw")["rows_drawn"] == 3
    embedding = Embedding.load(tmp_path / "out/embedding")
    theirs = stock.model.state_dict()["encoder.sentence_encoder.embed_tokens.weight"]
    assert torch.equal(embedding.weight[7:-1], theirs[4:-1])
    assert torch.equal(embedding.weight[-1], theirs[-1])
    assert bool(embedding.weight[4:7].ne(0).all())


def test_dictionary_as_fairseq_reads_it(tmp_path: Path) -> None:
    from fairseq.data import Dictionary

    path = tmp_path / "dict.txt"
    path.write_text("a 5\nb 4\n<unk> 1 #fairseq:overwrite\na 3 #fairseq:overwrite\nc\u00a0d 2\r\n", encoding="utf-8")
    theirs = Dictionary.load(str(path))
    theirs.add_symbol("<mask>")
    rows = read_dictionary(path)
    assert list(rows)[:4] == list(SPECIALS)
    assert rows.pop("<unk>") == theirs.unk() == 3
    assert rows == {symbol: theirs.index(symbol) for symbol in rows}
    path.write_text("<mask> 1\na 5\n", encoding="utf-8")
    assert read_dictionary(path)["<mask>"] == 4
    for text, message in (("a\n", "dict.txt:1: expected 'symbol count'"), ("a 1\na 1\n", "dict.txt:2: .*twice")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            read_dictionary(path)


def test_wrong_files_are_refused(roberta: Stock, xlmr: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    model = roberta.write()
    numbers = tmp_path / "gpt2.txt"
    numbers.write_text("".join(f"{n} 5\n" for n in range(len(roberta.dictionary) - 5)), encoding="utf-8")
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(model.read_bytes()[:3000])
    prenorm = roberta.write("prenorm.pt", cfg={"model": {**vars(roberta.args), "encoder_normalize_before": True}})
    no_head = roberta.write("headless.pt", model={
        name: tensor for name, tensor in roberta.model.state_dict().items() if "lm_head" not in name})
    short = roberta.model.state_dict()
    short["encoder.sentence_encoder.layers.1.fc1.bias"] = torch.zeros(3)
    for arguments, message in (
        ((model, None, sentencepiece, "en"), "--dict is missing: .*GPT-2.*--body-only"),
        ((model, roberta.dict, None, "en"), "--sentencepiece is missing: .*--body-only"),
        ((model, numbers, sentencepiece, "en"), "symbols are numbers.*GPT-2.*--body-only"),
        ((model, roberta.dict, sentencepiece, None), "--language is missing"),
        ((model, roberta.dict, sentencepiece, "en_US"), "did you mean 'en-US'"),
        ((model, xlmr.dict, sentencepiece, "en"), "token table has .*dict.txt that came with the checkpoint"),
        ((model, roberta.dict, roberta.dict, "en"), "expected a SentencePiece model"),
        ((tmp_path / "absent.pt", roberta.dict, sentencepiece, "en"), "absent.pt: expected a fairseq checkpoint"),
        ((truncated, roberta.dict, sentencepiece, "en"), "truncated"),
        ((prenorm, roberta.dict, sentencepiece, "en"), "encoder_normalize_before = True"),
        ((no_head, roberta.dict, sentencepiece, "en"), "headless.pt: .*missing: encoder.lm_head"),
        ((roberta.write("odd.pt", model=short), roberta.dict, sentencepiece, "en"), r"has shape \(3,\)"),
    ):
        with pytest.raises(UserError, match=message):
            import_checkpoint(*arguments, out)  # type: ignore[arg-type]
        assert not out.exists()
    import_checkpoint(model, roberta.dict, sentencepiece, "en", out)
    with pytest.raises(UserError, match="--overwrite"):
        import_checkpoint(model, roberta.dict, sentencepiece, "en", out)


def test_help_is_light_and_fairseq_is_not_needed(roberta: Stock, sentencepiece: Path, tmp_path: Path) -> None:
    code = """
import argparse, sys
class Blocker:
    def find_spec(self, name, *rest):
        assert name.split(".")[0] not in ("fairseq", "transformers"), name
sys.meta_path.insert(0, Blocker())
from recipes.commands.exchange.import_fairseq import add_arguments, run
assert "torch" not in sys.modules and "numpy" not in sys.modules
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(sys.argv[1:])))
"""
    subprocess.run([sys.executable, "-c", code, str(roberta.write("light.pt")), "--dict", str(roberta.dict),
                    "--sentencepiece", str(sentencepiece), "--language", "en", "--output", str(tmp_path / "out")],
                   check=True, cwd=ROOT, timeout=120)
    roberta.compare(tmp_path / "out")
