"""Rows come, go and join without training: what stays is the same bit for bit, and texts are read as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.surgery.operations import extend, merge, new_pieces, prune
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.base.errors import UserError
from recipes.cli import main

TEXTS = {"qaa": ["tilo mapu reno sadi", "kove buna tilo reno mapu", "sadi kove tilomapu"] * 20,
         "qab": ["жуба цего фыли шора", "хине дяму жуба фыли", "шора tilo хинежуба"] * 20}


def module(language: str, seed: int = 1, model_type: str = "unigram", lineage: str = "0" * 64) -> Embedding:
    tokenizer = Tokenizer(train_tokenizer(TEXTS[language], 48, model_type=model_type, character_coverage=1.0), language)
    draw = torch.Generator().manual_seed(seed)
    rows = len(tokenizer)
    return Embedding(torch.randn(rows, 8, generator=draw), torch.randn(rows, generator=draw), tokenizer, language, lineage,
                     {"seed": seed}, generator={"weight": torch.randn(rows, 4, generator=draw)})


def same_rows(made: Embedding, source: Embedding, symbols: list[str]) -> None:
    ours = [made.tokenizer.vocabulary.ids[symbol] for symbol in symbols]
    theirs = [source.tokenizer.vocabulary.ids[symbol] for symbol in symbols]
    assert torch.equal(made.weight[ours], source.weight[theirs]) and torch.equal(made.bias[ours], source.bias[theirs])
    assert torch.equal(made.generator["weight"][ours], source.generator["weight"][theirs])


def test_extended_pieces_are_used_and_start_as_the_mean_of_what_spelled_them() -> None:
    old = module("qaa")
    made = extend(old, ["▁tilobuna", "vesa", "▁tilobuna", old.tokenizer.vocabulary.pieces[0]])
    same_rows(made, old, old.tokenizer.vocabulary.symbols)
    assert len(made.weight) == len(old.weight) + 2
    ids = made.tokenizer.vocabulary.ids
    assert made.tokenizer.encode("tilobuna") == [ids["▁tilobuna"]]
    spelled = old.tokenizer.encode("tilobuna")
    torch.testing.assert_close(made.weight[ids["▁tilobuna"]], old.weight[spelled].mean(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(made.bias[ids["▁tilobuna"]], old.bias[spelled].mean(), rtol=1e-6, atol=1e-6)
    assert made.tokenizer.encode_batch(TEXTS["qaa"]) == [
        [index if index < old.tokenizer.vocabulary.mask else made.tokenizer.vocabulary.mask for index in row]
        for row in old.tokenizer.encode_batch(TEXTS["qaa"])]
    assert "extended: 2 rows added" in made.made["surgery"]


def test_pieces_are_learned_from_a_text() -> None:
    old = module("qaa")
    found = new_pieces(old, ["grumeki folata"] * 50, 3)
    assert 0 < len(found) <= 3 and not {*found} & {*old.tokenizer.vocabulary.symbols}
    made = extend(old, found)
    assert len(made.tokenizer.encode("grumeki folata")) < len(old.tokenizer.encode("grumeki folata"))


def test_pruning_keeps_the_tokens_of_its_text_and_every_letter() -> None:
    old = module("qaa")
    text = ["tilo reno", "sadi"]
    made = prune(old, text)
    assert len(made.weight) < len(old.weight)
    same_rows(made, old, made.tokenizer.vocabulary.symbols)
    symbols = made.tokenizer.vocabulary.symbols
    assert [[symbols[index] for index in row] for row in made.tokenizer.encode_batch(text)] == [
        [old.tokenizer.vocabulary.symbols[index] for index in row] for row in old.tokenizer.encode_batch(text)]
    assert all(3 not in row for row in made.tokenizer.encode_batch(TEXTS["qaa"]))


def test_merging_reads_both_languages_and_keeps_both_modules_rows() -> None:
    one, two = module("qaa"), module("qab", 2)
    made = merge(one, two, "mul")
    assert made.language == "mul" and "merged qaa" in made.made["surgery"]
    same_rows(made, one, one.tokenizer.vocabulary.symbols)
    own = [piece for piece in two.tokenizer.vocabulary.pieces if piece not in one.tokenizer.vocabulary.ids]
    assert own
    same_rows(made, two, own)
    assert len(made.weight) == len(one.weight) + len(own)
    assert all(3 not in row for language in TEXTS for row in made.tokenizer.encode_batch(TEXTS[language]))


def test_operations_on_operations_are_all_said(tmp_path: Path) -> None:
    made = prune(extend(module("qaa"), ["▁tilobuna"]), TEXTS["qaa"])
    made.save(tmp_path / "out")
    assert Embedding.load(tmp_path / "out").made["surgery"] == made.made["surgery"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "extended: 1 rows added" in card and "; then pruned to a text" in card


def test_commands_write_modules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module("qaa").save(tmp_path / "a")
    module("qab", 2).save(tmp_path / "b")
    (tmp_path / "pieces.txt").write_text("▁tilobuna\n\n", encoding="utf-8")
    (tmp_path / "text.txt").write_text("\n".join(TEXTS["qaa"]), encoding="utf-8")
    a, text = str(tmp_path / "a"), str(tmp_path / "text.txt")
    for name, words in (("extended", ["extend", a, "--pieces", str(tmp_path / "pieces.txt")]),
                        ("pruned", ["prune", a, "--text", text]),
                        ("merged", ["merge", a, str(tmp_path / "b"), "--language", "mul"])):
        assert main(["surgery", *words, "--output", str(tmp_path / name)]) == 0
        assert name in capsys.readouterr().out
        Embedding.load(tmp_path / name)


def test_mistakes_are_one_line_each_and_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module("qaa").save(tmp_path / "a")
    module("qab", 2, lineage="1" * 64).save(tmp_path / "foreign")
    module("qaa", model_type="bpe").save(tmp_path / "bpe")
    extra = module("qab", 2)
    extra.extras = {"encoder.embed_norm.bias": torch.ones(8)}
    extra.save(tmp_path / "extra")
    for name, text in (("known.txt", "t\n"), ("space.txt", "a b\n"), ("empty.txt", ""), ("full.txt", "▁ﬁx\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")

    def at(name: str) -> str:
        return str(tmp_path / name)

    for words, said in (
            (["merge", at("a"), at("foreign"), "--language", "mul"], "only modules of one body"),
            (["merge", at("a"), at("extra"), "--language", "mul"], "without --train-also"),
            (["merge", at("a"), at("a"), "--language", "not a code"], "not a code"),
            (["prune", at("bpe"), "--text", at("known.txt")], "only unigram models"),
            (["prune", at("a"), "--text", at("empty.txt")], "gives no token"),
            (["prune", at("a"), "--text", at("latin.txt")], "UTF-8"),
            (["prune", at("gone"), "--text", at("known.txt")], "gone"),
            (["extend", at("a"), "--pieces", at("known.txt")], "nothing to add"),
            (["extend", at("a"), "--pieces", at("space.txt")], "is no piece"),
            (["extend", at("a"), "--pieces", at("full.txt")], "changed by the tokenizer's normalisation"),
            (["extend", at("a")], "expected --pieces FILE, or --text"),
            (["extend", at("a"), "--text", at("known.txt"), "--count", "-1"], "expected at least 1")):
        assert main(["surgery", *words, "--output", at("out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pieces", [[], [""]])
def test_no_piece_is_an_error(pieces: list[str]) -> None:
    with pytest.raises(UserError, match=r"nothing to add|no piece"):
        extend(module("qaa"), pieces)
