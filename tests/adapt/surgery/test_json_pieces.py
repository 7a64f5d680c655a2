"""A `tokenizer.json` gets pieces, or those of another: what stays keeps its rows and its texts are read as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.artefacts.embedding import Embedding
from adapt.surgery.json_pieces import extended
from adapt.surgery.operations import extend, merge, new_pieces
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from recipes.cli import main
from tests.foreign import KINDS, SENTENCES, lines, saved
from tests.foreign import trained as trained_tokenizer

NEW = {"wordpiece": "▁oldbooks", "cased": "▁oldbooks", "bytes": "▁oldbooks", "bytes-prefix": "▁oldbooks", "bpe": "▁oldbooks",
       "unigram": "▁oldbooks"}
WORDS = ["old", "books", "about", "the", "лиса", "ёжик", "kitap", "12", ",", "孩子", "👍🏽", "xyz"]


def module(kind: str | bytes, seed: int = 1, language: str = "en") -> Embedding:
    tokenizer = Tokenizer(saved(kind) if isinstance(kind, str) else kind, language)
    draw = torch.Generator().manual_seed(seed)
    rows = len(tokenizer)
    return Embedding(torch.randn(rows, 4, generator=draw), torch.randn(rows, generator=draw), tokenizer, language, "0" * 64,
                     {"foreign_rows": rows}, foreign=torch.arange(rows))


def names(embedding: Embedding, text: str) -> list[str]:
    return [embedding.tokenizer.vocabulary.symbols[token] for token in embedding.tokenizer.encode(text)]


def same_rows(made: Embedding, source: Embedding, symbols: list[str]) -> None:
    ours = [made.tokenizer.vocabulary.ids[symbol] for symbol in symbols]
    theirs = [source.tokenizer.vocabulary.ids[symbol] for symbol in symbols]
    assert torch.equal(made.weight[ours], source.weight[theirs]) and torch.equal(made.bias[ours], source.bias[theirs])


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_piece_is_used_where_it_stands_and_other_texts_stay(kind: str) -> None:
    old = module(kind)
    made = extend(old, [NEW[kind], NEW[kind]])
    piece = old.tokenizer.written(NEW[kind])
    symbols = old.tokenizer.vocabulary.symbols
    same_rows(made, old, symbols)
    assert names(made, "the oldbooks 12")[len(names(made, "the"))] == piece
    spelled = [token for token in old.tokenizer.encode_words(["oldbooks"])[0]]
    row = made.tokenizer.vocabulary.ids[piece]
    torch.testing.assert_close(made.weight[row], old.weight[spelled].mean(0), rtol=1e-6, atol=1e-6)
    for line in lines(40):
        assert names(made, line) == names(old, line)
    assert made.tokenizer.file_ids[[made.tokenizer.vocabulary.ids[symbol] for symbol in symbols]].tolist() == (
        old.tokenizer.file_ids.tolist())  # so that an export has the ids of the others as they were
    assert made.foreign is not None and int(made.foreign[row]) == -1


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "bpe", "unigram"])
@settings(max_examples=25, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8))
def test_texts_without_the_new_pieces_are_read_as_before(kind: str, words: list[str]) -> None:
    old, made = _extended(kind)
    text = " ".join(words)
    assert [made.vocabulary.symbols[token] for token in made.encode(text)] == [
        old.vocabulary.symbols[token] for token in old.encode(text)]


def _extended(kind: str, made: dict[str, tuple[Tokenizer, Tokenizer]] = {}) -> tuple[Tokenizer, Tokenizer]:  # noqa: B006
    if kind not in made:
        old = Tokenizer(saved(kind))
        made[kind] = old, extended(old, ["▁zebra", "▁mountainsold"])[0]
    return made[kind]


def test_pieces_inside_words() -> None:
    old = module("wordpiece")
    made = extend(old, ["ooksabout"])
    assert names(made, "kooksabout") == ["k", "##ooksabout"] and names(made, "booksabout") == names(old, "booksabout")
    assert made.tokenizer.spellings[made.tokenizer.vocabulary.ids["##ooksabout"]] == "ooksabout"
    with pytest.raises(UserError, match="would stand inside words"):
        extend(module("bytes"), ["ooksabout"])


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "unigram"])
def test_pieces_are_learned_from_a_text_as_the_tokenizer_reads_it(kind: str) -> None:
    old = module(kind)
    words = ("folata", "books", "kobu")
    text = [f"{first} {second}" for first in ("the grumeki", "old folata", "Grumeki") for second in words] * 9
    found = new_pieces(old, text, 12)
    assert found and not {*found} & {*old.tokenizer.spellings}
    assert len(extend(old, found).tokenizer.encode("old folata folata")) < len(old.tokenizer.encode("old folata folata"))


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_merging_keeps_the_first_modules_rows_and_takes_the_others_pieces(kind: str, tmp_path: Path) -> None:
    one, other = module(kind), trained_tokenizer(kind)
    from tokenizers import trainers

    texts = ["жуба цего фыли шора", "хине дяму жуба фыли", "old жуба"] * 30
    special = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] if kind == "wordpiece" else [
        "<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer: Any = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False) if (
        kind == "wordpiece") else trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token="<unk>",
                                                          show_progress=False)
    other.train_from_iterator(texts, trainer)
    two = module(other.to_str().encode(), 2, "qab")
    for embedding, name in ((one, "one"), (two, "two")):
        embedding.save(tmp_path / name)
    assert main(["surgery", "merge", str(tmp_path / "one"), str(tmp_path / "two"), "--language", "mul", "--output",
                 str(tmp_path / "out")]) == 0
    made = Embedding.load(tmp_path / "out")
    same_rows(made, one, one.tokenizer.vocabulary.symbols)
    theirs = [piece for piece in two.tokenizer.vocabulary.pieces if piece not in one.tokenizer.vocabulary.ids]
    same_rows(made, two, theirs)
    assert len(made.weight) == len(one.weight) + len(theirs) and made.language == "mul"
    assert 3 not in made.tokenizer.encode(" ".join(texts[:2]))


def test_what_cannot_be_exact_is_refused_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("wordpiece", "cased", "bytes", "unigram"):
        module(kind, language="en").save(tmp_path / kind)
    content = json.loads(saved("wordpiece"))
    content["model"]["vocab"]["qa\u0416b"] = len(content["model"]["vocab"])  # a letter with no piece of its own inside a word
    content["model"]["vocab"].pop("##\u0436", None)
    module(json.dumps({**content, "normalizer": None}).encode()).save(tmp_path / "bare")
    for name, text in (("zebra", "▁zebra"), ("known", "▁old"), ("capital", "▁Zebra"), ("cut", "▁ze.bra")):
        (tmp_path / f"{name}.txt").write_text(text + "\n", encoding="utf-8")

    def at(name: str) -> str:
        return str(tmp_path / name)

    for words, said in (
            (["merge", at("bytes"), at("bytes"), "--language", "mul"], "two orders of merges"),
            (["merge", at("wordpiece"), at("cased"), "--language", "mul"], "normalise text by other rules"),
            (["merge", at("wordpiece"), at("unigram"), "--language", "mul"], "by other rules"),
            (["extend", at("wordpiece"), "--pieces", at("capital.txt")], "changed by the tokenizer's normalisation"),
            (["extend", at("wordpiece"), "--pieces", at("cut.txt")], "cut in parts"),
            (["extend", at("bare"), "--pieces", at("zebra.txt")], "is no piece, so that with further pieces words"),
            (["extend", at("wordpiece"), "--pieces", at("known.txt")], "nothing to add")):
        assert main(["surgery", *words, "--output", at("out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line and not (tmp_path / "out").exists()
    content = json.loads(saved("bpe"))
    content["model"]["merges"] = content["model"]["merges"][:-1]
    with pytest.raises(UserError, match="its merges do not make its own piece"):
        extend(module(json.dumps(content).encode()), ["▁zebra"])


def test_modules_of_two_kinds_of_tokenizer_are_not_merged(sentencepiece: Tokenizer) -> None:
    rows = len(sentencepiece)
    other = Embedding(torch.zeros(rows, 4), torch.zeros(rows), sentencepiece, "de", "0" * 64)
    with pytest.raises(UserError, match=r"are tokenizer\.json and tokenizer\.model"):
        merge(module("wordpiece"), other, "mul")


def test_an_extended_module_goes_out_with_its_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from adapt.formats.huggingface_export import export
    from adapt.formats.import_model import import_model
    from pretrain.artefacts.body import Body
    from tests.adapt.formats.models import make

    make("roberta", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "en", language="en")
    embedding = extend(Embedding.load(tmp_path / "en" / "embedding"), ["▁oldbooks"])
    export(Body.load(tmp_path / "en" / "body"), embedding, tmp_path / "again")
    import tokenizers

    made = tokenizers.Tokenizer.from_file(str(tmp_path / "again" / "masked-lm" / "tokenizer.json"))
    ids = made.encode(f"the oldbooks {SENTENCES[0]}", add_special_tokens=False).ids
    assert max(ids) == len(embedding.weight) - 1 and "Ġoldbooks" in made.encode("the oldbooks").tokens
