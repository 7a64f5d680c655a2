"""Hugging Face ELECTRAs become bodies that compute the same logits; what does not fit is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapt.artefacts.assemble import assemble, assemble_pair
from adapt.artefacts.embedding import Embedding
from adapt.formats.huggingface.folder import locate_model
from adapt.formats.huggingface_export import export
from adapt.formats.huggingface_import import import_electra, read_network
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from recipes.cli import main
from tests.adapt.formats.huggingface_tools import PAIRS, POSITIONS, TEXT, Theirs, batch, opened, same_logits, transformers

# --- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["embedding", "token", "none"])
@pytest.mark.parametrize("kind", PAIRS)
def test_imported_pair_has_their_logits(kind: str, share: str, sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, kind, share)
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == share
    assert body.generator.config.width == PAIRS[kind][1]["hidden_size"]
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


def test_an_imported_pair_goes_out_with_the_ids_that_it_had(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    body, embedding = theirs.run()
    assert embedding.foreign is not None and embedding.foreign.tolist() == theirs.order.tolist()
    export(body, embedding, tmp_path / "again")
    same_logits(assemble_pair(body, embedding), *opened(tmp_path / "again"), theirs.order)
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "again" / "generator")
    for text in TEXT:
        ids = [0, *sentencepiece.encode(text), 2]
        assert auto(text).input_ids == theirs.order[ids].tolist()
    folders = [str(tmp_path / "again" / name) for name in ("discriminator", "generator")]
    import_electra(folders[0], folders[1], tmp_path / "back", language="de")
    back = Embedding.load(tmp_path / "back" / "embedding")
    assert back.foreign is not None and torch.equal(back.foreign, embedding.foreign)
    assert torch.equal(back.weight, embedding.weight)


def test_positive_logit_means_replaced_on_both_sides(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    """Their loss falls and ours falls when the logit of a token with label 1, replaced, rises."""
    from torch.nn import functional as F

    theirs = Theirs(tmp_path, sentencepiece, "small")
    body, embedding = theirs.run()
    tokens = batch(len(theirs.order), 1)[:1]
    labels = torch.zeros_like(tokens)
    labels[0, 3] = 1
    with torch.no_grad():
        their_loss = theirs.discriminator(input_ids=theirs.order[tokens], labels=labels).loss
        logits = assemble(body, embedding)(tokens)
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(logits, labels.float()), their_loss, rtol=1e-4, atol=3e-5)


def test_one_network_twice_is_tied_altogether(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small++")
    theirs.generator.electra.load_state_dict(theirs.discriminator.electra.state_dict())
    theirs.generator.save_pretrained(tmp_path / "generator")
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == "all"
    assert not any(name.startswith("encoder.") for name in body.generator.tensors)
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


def test_positions_are_tied_where_token_types_are_not(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    with torch.no_grad():
        theirs.generator.electra.embeddings.token_type_embeddings.weight[0] += 0.5
    theirs.generator.save_pretrained(tmp_path / "generator")
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == "embedding"
    assert "encoder.embed_segments.weight" in body.generator.tensors and body.config.segments == 2
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


def test_pairs_of_texts_have_their_logits(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    pair = assemble_pair(*theirs.run())
    tokens = batch(len(theirs.order), 3)[:1]
    segments = torch.zeros_like(tokens)
    segments[:, 4:] = 1
    given = {"input_ids": theirs.order[tokens], "token_type_ids": segments}
    with torch.no_grad():
        torch.testing.assert_close(pair.detect(tokens, segments_BT=segments), theirs.discriminator(**given).logits,
                                   rtol=1e-4, atol=3e-5)
        assert pair.generator is not None
        expected = theirs.generator(**given).logits[..., theirs.order]
        torch.testing.assert_close(pair.generator(tokens, segments_BT=segments), expected, rtol=1e-4, atol=3e-5)


def test_word_piece_pairs_give_their_own_embedding(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    word_piece(theirs)
    assert main(["import", str(tmp_path), "--language", "de", "--output", str(tmp_path / "out")]) == 0
    embedding = Embedding.load(tmp_path / "out" / "embedding")
    assert embedding.tokenizer.file_name == "tokenizer.json" and embedding.made["rows_drawn"] == 0
    table = theirs.discriminator.electra.embeddings.word_embeddings.weight.detach()
    ids = embedding.tokenizer.encode("hund hause")
    assert [embedding.tokenizer.vocabulary.symbols[token] for token in ids] == ["hund", "haus", "##e"]
    assert torch.equal(embedding.weight[ids], table[[WORDS.index(piece) for piece in ("hund", "haus", "##e")]])


def test_word_piece_pairs_go_out_with_their_tokenizer_and_ids(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    word_piece(theirs)
    body, embedding = theirs.run()
    export(body, embedding, tmp_path / "again")
    assert embedding.foreign is not None
    same_logits(assemble_pair(body, embedding), *opened(tmp_path / "again"), embedding.foreign)
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "again" / "generator")
    assert auto("hund hause").input_ids == [WORDS.index(piece) for piece in ("[CLS]", "hund", "haus", "##e", "[SEP]")]


def test_discriminator_alone_is_a_body(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    import_electra(str(tmp_path / "discriminator"), None, tmp_path / "one", language="de")
    body, embedding = Body.load(tmp_path / "one" / "body"), Embedding.load(tmp_path / "one" / "embedding")
    assert body.generator is None and not embedding.bias.any()
    tokens = batch(len(theirs.order), 2)
    with torch.no_grad():
        expected = theirs.discriminator(input_ids=theirs.order[tokens], attention_mask=tokens.ne(PAD).long()).logits
        got = assemble(body, embedding)(tokens)
    torch.testing.assert_close(got[tokens != PAD], expected[tokens != PAD], rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("form", ["pickle", "parts", "pickled parts", "half", "old names"])
def test_every_form_of_weights_is_read(form: str, sentencepiece: Tokenizer, tmp_path: Path) -> None:
    Theirs(tmp_path, sentencepiece, "small")
    folder = tmp_path / "discriminator"
    before = read_network(str(folder), "discriminator").tensors
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    if form == "pickle":
        torch.save(state, folder / "pytorch_model.bin")
    elif form in ("parts", "pickled parts"):
        stem, suffix = ("model", "safetensors") if form == "parts" else ("pytorch_model", "bin")
        places = {}
        for part, chosen in enumerate((names[::2], names[1::2])):
            places |= dict.fromkeys(chosen, file := f"{stem}-0000{part + 1}-of-00002.{suffix}")
            some = {name: state[name] for name in chosen}
            if form == "parts":
                save_file(some, folder / file)
            else:
                torch.save(some, folder / file)
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    elif form == "half":
        save_file({name: tensor.half() for name, tensor in state.items()}, folder / "model.safetensors")
    else:
        save_file({**state, "electra.embeddings.position_ids": torch.arange(POSITIONS)[None]}, folder / "model.safetensors")
    after = read_network(str(folder), "discriminator").tensors
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == torch.float32
        torch.testing.assert_close(after[name], tensor, atol=1e-2 if form == "half" else 0, rtol=1e-3 if form == "half" else 0)


WORDS = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hund", "##e", "e", "haus", "katze", "1", "wald"]


def word_piece(theirs: Theirs) -> None:
    """Turns a pair's vocabulary into a WordPiece one."""
    for name in ("discriminator", "generator"):
        folder = theirs.folder / name
        for file in ("spiece.model", "tokenizer.json"):
            (folder / file).unlink()
        rows = theirs.discriminator.config.vocab_size
        (folder / "vocab.txt").write_text("\n".join([*WORDS, *(f"[unused{n}]" for n in range(1, rows - len(WORDS) + 1))]) + "\n")


def test_word_piece_models_give_a_body_with_their_logits(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    word_piece(theirs)
    import_electra(str(tmp_path / "discriminator"), str(tmp_path / "generator"), tmp_path / "body", body_only=True)
    assert not (tmp_path / "body" / "embedding").exists()
    body = Body.load(tmp_path / "body" / "body")
    order = torch.tensor([3, 0, 4, 2, *range(6, len(theirs.pieces)), 1, 5])  # any order with ours for the special tokens
    table = theirs.discriminator.electra.embeddings.word_embeddings.weight
    model = body.build(len(order)).eval()
    with torch.no_grad():
        model.encoder.embed_tokens.weight.copy_(table[order])
        tokens = batch(len(order), 1)
        expected = theirs.discriminator(input_ids=order[tokens], attention_mask=tokens.ne(PAD).long()).logits
        torch.testing.assert_close(model(tokens)[tokens != PAD], expected[tokens != PAD], rtol=1e-4, atol=3e-5)


def test_word_piece_with_a_tokenizer_starts_an_embedding(sentencepiece: Tokenizer, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    word_piece(theirs)
    sentencepiece.save(tmp_path / "tokenizer.model")
    assert main(["import-huggingface", "--discriminator", str(tmp_path / "discriminator"), "--generator",
                 str(tmp_path / "generator"), "--language", "de", "--tokenizer", str(tmp_path / "tokenizer.model"), "--output",
                 str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "drawn: a start for adapt" in said
    embedding = Embedding.load(tmp_path / "out" / "embedding")
    table = theirs.discriminator.electra.embeddings.word_embeddings.weight.detach()
    ids, rows = embedding.tokenizer.vocabulary.ids, {piece: row for row, piece in enumerate(WORDS)}
    copied = {"<s>": "[CLS]", "<pad>": "[PAD]", "</s>": "[SEP]", "<unk>": "[UNK]", "<mask>": "[MASK]", "e": "##e", "1": "1"}
    for ours, name in copied.items():
        if ours in ids:
            assert torch.equal(embedding.weight[ids[ours]], table[rows[name]]), ours
    assert {*copied} & {*ids} >= {"<s>", "<mask>", "e"}
    assert 0 < embedding.made["rows_drawn"] < len(embedding.weight)


def test_numbering_without_tokenizer_json_is_sentencepieces_own(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    from adapt.formats.huggingface.rows import read_rows

    (tmp_path / "spiece.model").write_bytes(sentencepiece.model)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[CLS]": 70, "[MASK]": 71, "<pad>": 72}))
    rows = read_rows(tmp_path).rows
    assert (rows["<s>"], rows["</s>"], rows["<unk>"], rows["<mask>"], rows["<pad>"]) == (70, 2, 0, 71, 72)
    assert rows[sentencepiece.vocabulary.pieces[0]] == 3


def test_assumed_numbering_must_fill_the_table(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    folder = tmp_path / "discriminator"
    (folder / "tokenizer.json").unlink()
    size, rows = sentencepiece.file_size, len(theirs.pieces)
    (folder / "added_tokens.json").write_text(json.dumps({"[MASK]": size, "<pad>": size + 9}))
    with pytest.raises(UserError, match=rf"number {size + 10} rows, the token table has {rows}; add tokenizer.json"):
        theirs.run()
    (folder / "added_tokens.json").write_text(json.dumps({"[MASK]": size, "<pad>": rows - 1}))
    _, embedding = theirs.run()
    table = theirs.discriminator.electra.embeddings.word_embeddings.weight.detach()
    assert torch.equal(embedding.weight[4:-1], table[3:size]) and torch.equal(embedding.weight[0], table[1])


def test_settings_name_the_special_tokens(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    theirs.pieces[theirs.pieces.index("[CLS]")] = "[BEGIN]"
    folder = tmp_path / "discriminator"
    theirs.write_vocabulary(folder)
    with pytest.raises(UserError, match=r"no row for <s> \(looked for \[CLS\]"):
        theirs.run()
    (folder / "tokenizer_config.json").write_text(json.dumps({"cls_token": {"content": "[BEGIN]"}}))
    _, embedding = theirs.run()
    row = theirs.pieces.index("[BEGIN]")
    assert torch.equal(embedding.weight[0], theirs.discriminator.electra.embeddings.word_embeddings.weight[row].detach())


# --- what is refused ---------------------------------------------------------------------------------------------------


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def small(sentencepiece: Tokenizer, tmp_path: Path) -> Theirs:
    return Theirs(tmp_path, sentencepiece, "small++")


def test_paper_sized_configuration_of_a_released_generator_is_refused(small: Theirs) -> None:
    """The trap: the paper gives the small generator a quarter, the released one is as wide as the discriminator."""
    edit(small.folder / "generator", hidden_size=4, num_attention_heads=1, intermediate_size=6)
    with pytest.raises(UserError, match=r"generator: config.json and the tensors disagree about hidden_size 4 and 16, "
                                        r"intermediate_size 6 and 24; take both files from one checkpoint") as caught:
        small.run()
    assert "\n" not in str(caught.value)
    assert not (small.folder / "out").exists()


@pytest.mark.parametrize("changes, said", [
    ({"model_type": "bert"}, "model_type is 'bert', expected 'electra'"),
    ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
    ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ({"is_decoder": True}, "is_decoder is True"),
    ({"num_hidden_layers": 3}, "num_hidden_layers 3 and 2"),
    ({"vocab_size": 9}, "vocab_size 9 and"),
    ({"embedding_size": 9}, "embedding_size 9 and 8"),
    ({"max_position_embeddings": 512}, "max_position_embeddings 512 and 12"),
    ({"num_attention_heads": 3}, "config.json: encoder width 16 is not divisible by heads 3"),
])
def test_foreign_configurations_are_refused(small: Theirs, changes: dict[str, Any], said: str) -> None:
    edit(small.folder / "discriminator", **changes)
    with pytest.raises(UserError, match=said):
        small.run()


def test_swapped_networks_are_named(small: Theirs) -> None:
    with pytest.raises(UserError, match=r"this is a generator .* pass it as --generator"):
        import_electra(str(small.folder / "generator"), None, small.folder / "out", body_only=True)
    with pytest.raises(UserError, match=r"this is a discriminator .* pass it as --discriminator"):
        import_electra(str(small.folder / "discriminator"), str(small.folder / "discriminator"), small.folder / "out",
                       body_only=True)


def tamper(folder: Path, change: Any) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize("change, said", [
    (lambda s: s.pop("discriminator_predictions.dense.bias"), r"missing: discriminator_predictions\.dense\.bias"),
    (lambda s: s.update({"classifier.weight": torch.zeros(2)}), r"unknown: classifier\.weight"),
    (lambda s: s.update({"discriminator_predictions.dense.bias": torch.zeros(3)}), r"rtd_head.dense.bias is \(3,\)"),
    (lambda s: s["discriminator_predictions.dense.bias"].fill_(float("nan")), "NaN"),
])
def test_foreign_tensors_are_refused(small: Theirs, change: Any, said: str) -> None:
    tamper(small.folder / "discriminator", change)
    with pytest.raises(UserError, match=said):
        small.run()


def test_untied_output_matrix_is_refused(small: Theirs) -> None:
    rows = len(small.pieces)
    tamper(small.folder / "generator", lambda s: s.update({"generator_lm_head.weight": torch.zeros(rows, 8)}))
    with pytest.raises(UserError, match="untied output matrix"):
        small.run()


def test_networks_with_two_vocabularies_are_no_pair(small: Theirs, sentencepiece: Tokenizer, tmp_path: Path) -> None:
    other = Theirs(tmp_path / "other", sentencepiece, "small", vocab_size=90)
    with pytest.raises(UserError, match="its vocabulary has 90 rows"):
        import_electra(str(small.folder / "discriminator"), str(other.folder / "generator"), tmp_path / "x", body_only=True)


class _Evil:
    def __reduce__(self) -> Any:
        return print, ("unpickled",)


def test_damaged_and_malicious_files_get_one_line(small: Theirs, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small.folder / "discriminator"
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UserError, match="truncated or damaged"):
        small.run()
    weights.unlink()
    with pytest.raises(UserError, match=r"expected model.safetensors or pytorch_model.bin .*found config.json"):
        small.run()
    torch.save({"x": _Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="could not be read as plain tensors"):
        small.run()
    assert "unpickled" not in capsys.readouterr().out
    torch.save([1], folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="expected named tensors, found list"):
        small.run()
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "../../secret.safetensors"}}))
    with pytest.raises(UserError, match="names of files beside it"):
        small.run()


def test_vocabularies_that_do_not_fit_are_refused(small: Theirs) -> None:
    folder = small.folder / "discriminator"
    with pytest.raises(UserError, match="--language is missing"):
        import_electra(str(folder), None, small.folder / "out")
    pieces = small.pieces
    small.pieces = [*pieces, "[more]"]
    small.pieces[-1], small.pieces[0] = small.pieces[0], "[more]"  # [PAD] is now beyond the table
    small.write_vocabulary(folder)
    with pytest.raises(UserError, match=r"names row \d+, the token table has"):
        small.run()
    small.pieces = [piece if n % 5 else f"x{n}" for n, piece in enumerate(pieces)]
    small.pieces[0], small.pieces[-4:] = "[PAD]", pieces[-4:]
    small.write_vocabulary(folder)
    with pytest.raises(UserError, match=r"pieces of .* have no row, among them"):
        small.run()
    (folder / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(UserError, match=r"expected model\.vocab"):
        small.run()
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").unlink()
    with pytest.raises(UserError, match="no vocabulary"):
        small.run()
    (folder / "vocab.txt").write_text("\n".join([*pieces, *(f"x{n}" for n in range(99))]))
    with pytest.raises(UserError, match="the token table has"):
        small.run()


def test_the_hub_is_asked_only_when_named(small: Theirs, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def give(repository: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repository, revision))
        if repository == "no/such":
            raise OSError("no network\nreally")
        return str(small.folder / "discriminator")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", give)
    with pytest.raises(UserError, match=r"google/electra: expected a model folder .* found nothing"):
        locate_model("google/electra")
    assert not asked
    report = import_electra("hf:some/one@abc", None, small.folder / "out", body_only=True)
    assert asked == [("some/one", "abc")] and report["body"].made["discriminator"] == "hf:some/one@abc"
    with pytest.raises(UserError, match=r"hf:no/such: could not be loaded from the hub: no network$"):
        locate_model("hf:no/such")
