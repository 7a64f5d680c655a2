"""Models with a `tokenizer.json` go out with it: the ids, rows and logits that they came with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import relexify
from adapt.artefacts.embedding import Embedding
from adapt.formats.huggingface.json_tokenizer import build
from adapt.formats.huggingface_export import export
from adapt.formats.import_model import import_model
from adapt.formats.order import outside
from adapt.text.tokenizer import Tokenizer
from adapt.text.tokenizer.json_model import byte_letters
from pretrain.artefacts.body import Body
from recipes.cli import main
from tests.adapt.formats.huggingface_tools import transformers
from tests.adapt.formats.models import make, tokenizer_of
from tests.foreign import lines

TEXTS = ["The naïve café owner reads old books about rivers.", "İstanbul'da 12 çocuk 孩子 👍🏽", *lines(6)]


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal to 1e-5 of the largest value, or of one."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * max(1.0, float(expected.abs().max())))


def there_and_back(family: str, folder: Path, **settings: Any) -> tuple[Any, Body, Embedding, Path]:
    """A model of theirs, what the import made of it, and the folder of the export."""
    model = make(family, folder / "theirs", **settings)
    import_model(str(folder / "theirs"), folder / "out", language="mul")
    body, embedding = Body.load(folder / "out" / "body"), Embedding.load(folder / "out" / "embedding")
    (name,) = export(body, embedding, folder / "again")
    return model, body, embedding, folder / "again" / name


def opened(folder: Path, auto: Any) -> Any:
    model, info = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


@pytest.mark.parametrize("family, segments", [("bert", 2), ("roberta", 1), ("roberta", 2), ("xlm-roberta", 1), ("camembert", 1)])
def test_ids_and_logits_are_those_of_the_model_it_came_from(family: str, segments: int, tmp_path: Path) -> None:
    model, body, _, folder = there_and_back(family, tmp_path, type_vocab_size=segments, max_position_embeddings=300)
    assert body.config.segments == segments
    again = opened(folder, transformers.AutoModelForMaskedLM)
    assert type(again).__name__ == {"bert": "BertForMaskedLM"}.get(family, "RobertaForMaskedLM")
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "theirs" / "tokenizer.json"))
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    for text, other in zip(TEXTS, reversed(TEXTS), strict=True):
        ids = auto(text, add_special_tokens=False).input_ids
        assert ids == theirs(text, add_special_tokens=False, truncation=False).input_ids
        for given in (auto(text, return_tensors="pt"), auto(text, other, return_tensors="pt")):
            assert ("token_type_ids" in given) == (segments == 2)
            with torch.no_grad():
                same(again(**given).logits, model(**given).logits)


def test_a_tokenizer_whose_padding_is_elsewhere_comes_into_our_order_for_mpnet(tmp_path: Path) -> None:
    _, _, embedding, folder = there_and_back("mpnet", tmp_path)
    assert outside(embedding).of("<pad>") != 1  # transformers' MPNet counts positions from row 1
    opened(folder, transformers.AutoModelForMaskedLM)
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert auto(text).input_ids == [0, *embedding.tokenizer.encode(text), 2]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_pipeline_fills_in_what_relexify_fills_in(family: str, tmp_path: Path) -> None:
    _, _, embedding, folder = there_and_back(family, tmp_path)
    mine, order = relexify.load(tmp_path / "out"), outside(embedding)
    pipe = transformers.pipeline("fill-mask", str(folder), device="cpu")
    pieces = embedding.tokenizer.vocabulary.pieces
    targets = order.ids[4:-1].tolist()
    for text in ("The owner reads <mask> books about rivers", "old books and <mask> mountains!"):
        (ours,) = mine.fill(text, top=5).masks
        found = pipe(text.replace("<mask>", pipe.tokenizer.mask_token), top_k=20)
        theirs = [one for one in found if one["token"] in targets][:5]  # special tokens fill nothing in here
        assert [one["token"] for one in theirs] == [targets[pieces.index(one.piece)] for one in ours.fillers]
        assert [one["score"] for one in theirs] == pytest.approx([one.probability for one in ours.fillers], rel=1e-3)


def test_rows_that_no_piece_has_are_there_again_and_never_predicted(tmp_path: Path) -> None:
    model, _, embedding, folder = there_and_back("bert", tmp_path, vocab_size=512)
    again = opened(folder, transformers.AutoModelForMaskedLM)
    assert again.config.vocab_size == 512 > len(embedding.weight)
    ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    used = outside(embedding).ids
    with torch.no_grad():
        same(again(**ids).logits[..., used], model(**ids).logits[..., used])
        assert bool(torch.isin(again(**ids).logits.argmax(-1), used).all())


def test_a_pruned_module_goes_out_with_the_ids_of_its_file(tmp_path: Path) -> None:
    make("bert", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    (tmp_path / "text.txt").write_text("\n".join(TEXTS[:1]) + "\n", encoding="utf-8")
    assert main(["surgery", "prune", str(tmp_path / "out" / "embedding"), "--text", str(tmp_path / "text.txt"),
                 "--output", str(tmp_path / "small")]) == 0
    assert main(["export", "--body", str(tmp_path / "out"), "--embedding", str(tmp_path / "small"), "--to", "huggingface",
                 "--output", str(tmp_path / "again")]) == 0
    small = Embedding.load(tmp_path / "small")
    model = opened(tmp_path / "again" / "masked-lm", transformers.AutoModelForMaskedLM)
    assert model.config.vocab_size == len(small.weight)
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "again" / "masked-lm")
    assert auto(TEXTS[0], add_special_tokens=False).input_ids == outside(small).ids[small.tokenizer.encode(TEXTS[0])].tolist()


def test_a_special_token_in_the_text_that_is_compared_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make("bert", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    for text, code in (("old books about rivers", 0), ("old [CLS] books", 2)):
        (tmp_path / "text.txt").write_text(f"{text}\n", encoding="utf-8")
        assert main(["export", "--body", str(tmp_path / "out"), "--to", "huggingface", "--check-text", str(tmp_path / "text.txt"),
                     "--output", str(tmp_path / f"again-{code}")]) == code
    assert "holds '[CLS]', text here and the special token in transformers" in capsys.readouterr().err
    assert not (tmp_path / "again-2").exists()


def test_a_tokenizer_without_padding_gets_one(tmp_path: Path) -> None:
    content = json.loads(tokenizer_of("roberta"))
    gone = content["model"]["vocab"].pop("<pad>")
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<pad>"]
    tokenizer = Tokenizer(json.dumps(content).encode())
    make("roberta", tmp_path / "theirs")
    import_model(str(tmp_path / "theirs"), tmp_path / "out", language="en")
    body = Body.load(tmp_path / "out" / "body")
    rows = len(tokenizer)
    embedding = Embedding(torch.randn(rows, 32, generator=torch.Generator().manual_seed(1)), torch.zeros(rows), tokenizer, "en",
                          body.lineage)
    export(body, embedding, tmp_path / "again")
    auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "again" / "masked-lm")
    assert gone == 1 and auto.pad_token_id == rows == outside(embedding).of("<pad>")
    order = outside(embedding)
    for text in TEXTS:
        assert auto(text, add_special_tokens=False).input_ids == order.ids[tokenizer.encode(text)].tolist()


def test_a_model_without_head_goes_out_without_one(tmp_path: Path) -> None:
    model, _, _, folder = there_and_back("bert", tmp_path, head=False)
    assert folder.name == "encoder"
    again, info = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert type(again).__name__ == "BertModel" and not info["unexpected_keys"]
    assert all(name.startswith("pooler.") for name in info["missing_keys"])
    ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS[0], TEXTS[1], return_tensors="pt")
    assert set(ids.token_type_ids[0].tolist()) == {0, 1}
    with torch.no_grad():
        same(again.eval()(**ids).last_hidden_state, model(**ids).last_hidden_state)


def test_an_export_of_a_sentencepiece_model_comes_back_as_it_was(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    from pretrain.encoder import EncoderConfig
    from pretrain.masked_lm import MaskedLM

    shape = EncoderConfig(layers=1, width=16, heads=2, ffn=24, embedding_width=16, max_positions=20)
    model = MaskedLM(shape, len(sentencepiece))
    body = Body.of_model(model)
    embedding = Embedding.of_model(model, sentencepiece, "de", body.lineage)
    export(body, embedding, tmp_path / "theirs")
    import_model(str(tmp_path / "theirs" / "masked-lm"), tmp_path / "out", language="de")
    again = Embedding.load(tmp_path / "out" / "embedding")
    assert again.tokenizer.sha256 == sentencepiece.sha256 and torch.equal(again.weight, embedding.weight)
    assert Body.load(tmp_path / "out" / "body").fingerprint == body.fingerprint


@pytest.mark.realdata
def test_minilm_goes_out_as_it_came(tmp_path: Path) -> None:
    named = os.environ.get("RELEXIFY_MINILM")
    found = next(iter(sorted(Path(named).rglob("model.safetensors"))), None) if named else None
    if found is None:
        pytest.skip("no model in $RELEXIFY_MINILM")
    place = found.parent
    import_model(str(place), tmp_path / "out", language="en")
    body, embedding = Body.load(tmp_path / "out" / "body"), Embedding.load(tmp_path / "out" / "embedding")
    assert export(body, embedding, tmp_path / "again") == ["encoder"]
    folder = tmp_path / "again" / "encoder"
    model, again = (transformers.AutoModel.from_pretrained(one).eval() for one in (place, folder))
    theirs, auto = (transformers.AutoTokenizer.from_pretrained(one) for one in (place, folder))
    assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)
    mine = relexify.load(tmp_path / "out")
    pipe = transformers.pipeline("feature-extraction", str(folder), device="cpu")
    for text in ("A man is eating food.", "The naïve café owner said: rivers, mountains & 12 seas!"):
        ids = theirs(text, return_tensors="pt")
        assert auto(text).input_ids == ids.input_ids[0].tolist()
        with torch.no_grad():
            expected = model(**ids).last_hidden_state
            same(again(**ids).last_hidden_state, expected)
        states = torch.tensor(pipe(text))[0, 1:-1]
        torch.testing.assert_close(torch.from_numpy(mine.encode(text, pool="none")), states, rtol=1e-4, atol=1e-5)


def test_one_token_for_begin_end_and_unknown_does_not_take_the_place_of_begin_and_end(tmp_path: Path) -> None:
    """GPT-2 calls all three <|endoftext|>; the exported file must still put our rows of <s> and </s> around a text."""
    vocab = {letter: row for row, letter in enumerate(byte_letters())}
    end = "<|endoftext|>"
    vocab |= {"Ġa": len(vocab), "he": len(vocab) + 1, end: len(vocab) + 2}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": byte_level,
               "post_processor": None, "decoder": byte_level,
               "added_tokens": [{"id": vocab[end], "content": end, "single_word": False, "lstrip": False, "rstrip": False,
                                 "normalized": False, "special": True}],
               "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                         "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                         "merges": ["Ġ a", "h e"]}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": end, "eos_token": end, "unk_token": end}))
    tokenizer = Tokenizer.load(tmp_path)
    order = outside(SimpleNamespace(weight=torch.zeros(len(tokenizer), 2), foreign=None, tokenizer=tokenizer, made={}))
    assert build(tokenizer, order).encode("he a").ids == order.ids[[0, *tokenizer.encode("he a"), 2]].tolist()
