"""Hugging Face ELECTRAs become bodies that compute the same logits, and bodies of ours models that transformers opens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapt.assemble import assemble, assemble_pair
from adapt.embedding import Embedding
from adapt.export_huggingface import export
from adapt.huggingface.folder import locate_model
from adapt.huggingface.names import from_electra, pairs, to_electra
from adapt.import_huggingface import import_electra, read_network
from adapt.tokenizer import Tokenizer, train_tokenizer
from pretrain.body import Body
from pretrain.compat import guard_torchaudio
from pretrain.electra import Discriminator, Electra, ElectraConfig, Generator, generator_config
from pretrain.encoder import EncoderConfig
from pretrain.errors import UserError
from pretrain.masked_lm import MaskedLM
from pretrain.pair import pair_body, sort_tensors
from pretrain.tensors import fingerprint
from pretrain.vocabulary import PAD
from recipes.cli import main

guard_torchaudio()
transformers = pytest.importorskip("transformers")
ROOT = Path(__file__).resolve().parents[2]
POSITIONS = 12
SMALL = {"embedding_size": 8, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2}
GENERATORS = {
    "small": {"hidden_size": 4, "num_attention_heads": 1, "intermediate_size": 6},  # a quarter, as in the paper
    "small++": {},  # as wide as the discriminator, as released
}
BASE = {**SMALL, "embedding_size": 16}
PAIRS = {"small": (SMALL, {**SMALL, **GENERATORS["small"]}), "small++": (SMALL, {**SMALL, **GENERATORS["small++"]}),
         "base": (BASE, {**BASE, "hidden_size": 6, "num_attention_heads": 1, "intermediate_size": 9})}
TEXT = ["der hund läuft durch den wald und die katze schläft im haus", "kinder lernen in der schule rechnen 1 2 3"] * 40


@pytest.fixture(scope="module")
def sentencepiece() -> Tokenizer:
    return Tokenizer(train_tokenizer(TEXT, 60))


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
        torch.testing.assert_close(pair.detect(tokens)[real], discriminator(**theirs).logits[real], atol=1e-5, rtol=0)
        torch.testing.assert_close(pair.generator(tokens)[real], generator(**theirs).logits[real][..., order], atol=1e-5, rtol=0)


# --- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["embedding", "token", "none"])
@pytest.mark.parametrize("kind", PAIRS)
def test_imported_pair_has_their_logits(kind: str, share: str, sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, kind, share)
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == share
    assert body.generator.config.width == PAIRS[kind][1]["hidden_size"]
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


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
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(logits, labels.float()), their_loss, atol=1e-5, rtol=0)


def test_one_network_twice_is_tied_altogether(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small++")
    theirs.generator.electra.load_state_dict(theirs.discriminator.electra.state_dict())
    theirs.generator.save_pretrained(tmp_path / "generator")
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == "all"
    assert not any(name.startswith("encoder.") for name in body.generator.tensors)
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


def test_equal_positions_with_other_token_types_are_not_tied(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    with torch.no_grad():
        theirs.generator.electra.embeddings.token_type_embeddings.weight[0] += 0.5
    theirs.generator.save_pretrained(tmp_path / "generator")
    body, embedding = theirs.run()
    assert body.generator is not None and body.generator.tying == "token"
    same_logits(assemble_pair(body, embedding), theirs.discriminator, theirs.generator, theirs.order)


def test_discriminator_alone_is_a_body(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    import_electra(str(tmp_path / "discriminator"), None, tmp_path / "one", language="de")
    body, embedding = Body.load(tmp_path / "one" / "body"), Embedding.load(tmp_path / "one" / "embedding")
    assert body.generator is None and not embedding.bias.any()
    tokens = batch(len(theirs.order), 2)
    with torch.no_grad():
        expected = theirs.discriminator(input_ids=theirs.order[tokens], attention_mask=tokens.ne(PAD).long()).logits
        got = assemble(body, embedding)(tokens)
    torch.testing.assert_close(got[tokens != PAD], expected[tokens != PAD], atol=1e-5, rtol=0)


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
        torch.testing.assert_close(after[name], tensor, atol=1e-2 if form == "half" else 0, rtol=0)


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
        torch.testing.assert_close(model(tokens)[tokens != PAD], expected[tokens != PAD], atol=1e-5, rtol=0)


def test_word_piece_with_a_tokenizer_starts_an_embedding(sentencepiece: Tokenizer, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    theirs = Theirs(tmp_path, sentencepiece, "small")
    word_piece(theirs)
    sentencepiece.save(tmp_path / "tokenizer.model")
    assert main(["import-huggingface", "--discriminator", str(tmp_path / "discriminator"), "--generator",
                 str(tmp_path / "generator"), "--language", "de", "--tokenizer", str(tmp_path / "tokenizer.model"), "--output",
                 str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "drawn: a start for adapt" in said and "token types" in said
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
    from adapt.huggingface.rows import read_rows

    (tmp_path / "spiece.model").write_bytes(sentencepiece.model)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"[CLS]": 70, "[MASK]": 71, "<pad>": 72}))
    rows = read_rows(tmp_path).rows
    assert (rows["<s>"], rows["</s>"], rows["<unk>"], rows["<mask>"], rows["<pad>"]) == (70, 2, 0, 71, 72)
    assert rows[sentencepiece.vocabulary.pieces[0]] == 3


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
    with pytest.raises(UserError, match="this is a generator .* pass it as --generator"):
        import_electra(str(small.folder / "generator"), None, small.folder / "out", body_only=True)
    with pytest.raises(UserError, match="this is a discriminator .* pass it as --discriminator"):
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
    with pytest.raises(UserError, match="expected model.vocab"):
        small.run()
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").unlink()
    with pytest.raises(UserError, match="no vocabulary"):
        small.run()
    (folder / "vocab.txt").write_text("\n".join(pieces))
    with pytest.raises(UserError, match="its tokenizer is no SentencePiece model"):
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
    with pytest.raises(UserError, match="hf:no/such: could not be loaded from the hub: no network$"):
        locate_model("hf:no/such")


# --- export ------------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("tying, options", [
    ("embedding", {}), ("token", {"embedding_width": 16}), ("none", {}), ("gdes", {}), ("all", {"generator": 1}),
    ("embedding", {"hardness": "loss"})])
def test_transformers_opens_the_exported_pair(tying: str, options: dict[str, Any], sentencepiece: Tokenizer,
                                              tmp_path: Path) -> None:
    body, embedding, model = ours(sentencepiece, tying, **options)
    assert export(body, embedding, tmp_path / "out") == ["discriminator", "generator"]
    same_logits(model, *opened(tmp_path / "out"), torch.arange(len(embedding.weight)))


@pytest.mark.parametrize("tying, options", [("embedding", {}), ("token", {"embedding_width": 16}), ("none", {}),
                                            ("all", {"generator": 1})])
def test_there_and_back_keeps_fingerprints(tying: str, options: dict[str, Any], sentencepiece: Tokenizer,
                                           tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece, tying, **options)
    export(body, embedding, tmp_path / "theirs")
    import_electra(str(tmp_path / "theirs" / "discriminator"), str(tmp_path / "theirs" / "generator"), tmp_path / "again",
                   language="de")
    back, same = Body.load(tmp_path / "again" / "body"), Embedding.load(tmp_path / "again" / "embedding")
    assert (back.fingerprint, back.lineage, back.config) == (body.fingerprint, body.lineage, body.config)
    assert body.generator is not None and back.generator is not None
    assert (back.generator.tying, back.generator.config) == (tying, body.generator.config)
    assert fingerprint(back.generator.tensors) == fingerprint(body.generator.tensors)
    assert fingerprint(same.tensors) == fingerprint(embedding.tensors) and same.tokenizer.sha256 == sentencepiece.sha256


def test_there_and_back_of_theirs_is_bit_identical() -> None:
    config = transformers.ElectraConfig(**SMALL, vocab_size=30, max_position_embeddings=POSITIONS)
    for kind, model in (("discriminator", transformers.ElectraForPreTraining(config)),
                        ("generator", transformers.ElectraForMaskedLM(config))):
        state = {name: tensor for name, tensor in randomised(model).state_dict().items() if name != "generator_lm_head.weight"}
        state["electra.embeddings.token_type_embeddings.weight"].zero_()
        again = to_electra(kind, from_electra(kind, state))
        assert again.keys() == state.keys()
        assert all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize("kind, ours_", [("discriminator", Discriminator), ("generator", Generator)])
def test_the_table_names_every_tensor_of_ours_once(kind: str, ours_: Any) -> None:
    shape = EncoderConfig(layers=3, width=16, heads=2, ffn=24, embedding_width=8, max_positions=4)
    named = list(pairs(kind, 3, True))
    assert sorted(name for name, _ in named) == sorted(ours_(shape, 9).state_dict())
    theirs = [name for _, names in named for name in names]
    assert len(theirs) == len(set(theirs))


def test_discriminator_without_generator_is_exported_alone(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    body.generator = None
    assert export(body, embedding, tmp_path / "out") == ["discriminator"]


def test_extras_of_an_embedding_take_the_bodys_place(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    name = "encoder.embed_norm.bias"
    embedding.extras[name] = body.tensors[name] + 1
    export(body, embedding, tmp_path / "out")
    discriminator, _ = opened(tmp_path / "out")
    torch.testing.assert_close(discriminator.electra.embeddings.LayerNorm.bias.detach(), embedding.extras[name])


def test_roberta_bodies_are_exported_too(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    shape = EncoderConfig(layers=2, width=16, heads=2, ffn=24, embedding_width=16, max_positions=POSITIONS)
    model = randomised(MaskedLM(shape, len(sentencepiece.vocabulary)))
    body = Body.of_model(model)
    assert export(body, Embedding.of_model(model, sentencepiece, "de", body.lineage), tmp_path / "out") == ["masked-lm"]
    theirs, info = transformers.RobertaForMaskedLM.from_pretrained(tmp_path / "out" / "masked-lm", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    tokens = batch(len(sentencepiece.vocabulary), 3)
    with torch.no_grad():
        expected = theirs.eval()(tokens, attention_mask=tokens.ne(PAD).long()).logits
        torch.testing.assert_close(model(tokens)[tokens != PAD], expected[tokens != PAD], atol=1e-5, rtol=0)


def test_what_has_no_counterpart_is_refused(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    task = Body(body.config, body.tensors, body.lineage, body.backbone, task={"name": "xnli"})
    with pytest.raises(UserError, match=r"this is a task body \(xnli\)"):
        export(task, embedding, tmp_path / "out")
    shape = EncoderConfig(layers=1, width=16, heads=2, ffn=24, embedding_width=16, max_positions=8, relative_buckets=8)
    model = MaskedLM(shape, len(sentencepiece.vocabulary))
    relative = Body.of_model(model)
    with pytest.raises(UserError, match=r"relative positions \(8 buckets\)"):
        export(relative, Embedding.of_model(model, sentencepiece, "de", relative.lineage), tmp_path / "out")
    other, _, _ = ours(sentencepiece, "none")
    other.lineage = "0" * 64
    with pytest.raises(UserError, match="lineage"):
        export(other, embedding, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_there_and_back(sentencepiece: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body, embedding, _ = ours(sentencepiece, hardness="dist")
    body.save(tmp_path / "run" / "body")
    embedding.save(tmp_path / "run" / "embedding")
    (tmp_path / "check.txt").write_text("\n".join(TEXT[:2]))
    call = ["export-huggingface", "--body", str(tmp_path / "run"), "--check-text", str(tmp_path / "check.txt"), "--output",
            str(tmp_path / "theirs")]
    assert main(call) == 0
    assert "hardness head" in capsys.readouterr().out
    assert main(call) == 2
    assert "already exists" in capsys.readouterr().err
    assert main([*call, "--overwrite", "--no-tokenizer"]) == 0
    assert not (tmp_path / "theirs" / "discriminator" / "tokenizer.json").exists()
    assert main(["import-huggingface", "--discriminator", str(tmp_path / "theirs" / "discriminator"), "--body-only",
                 "--output", str(tmp_path / "back")]) == 0
    assert "no generator" in capsys.readouterr().out
    assert Body.load(tmp_path / "back" / "body").fingerprint == body.fingerprint


def test_importing_and_exporting_need_neither_fairseq_nor_transformers(small: Theirs, sentencepiece: Tokenizer,
                                                                       tmp_path: Path) -> None:
    shutil.copytree(small.folder, tmp_path / "copy")
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, *rest):
        assert name.split(".")[0] not in ("fairseq", "transformers"), name
sys.meta_path.insert(0, Blocker())
from recipes.cli import main
folder = {str(tmp_path)!r}
assert main(["import-huggingface", "--discriminator", folder + "/copy/discriminator", "--generator", folder + "/copy/generator",
             "--language", "de", "--output", folder + "/ours"]) == 0
assert main(["export-huggingface", "--body", folder + "/ours", "--output", folder + "/theirs"]) == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=300)
    assert (tmp_path / "theirs" / "generator" / "model.safetensors").exists()
