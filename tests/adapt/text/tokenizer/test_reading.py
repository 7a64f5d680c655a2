"""Other people's vocabulary files become a `tokenizer.json` that gives the ids of transformers' own tokenizers."""

from __future__ import annotations

import json

import pytest
import tokenizers

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from tests.foreign import SENTENCES, saved, trained


def write_vocabulary(folder, kind="wordpiece"):
    vocabulary = trained(kind).get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return folder / "vocab.txt"


def write_byte_pairs(folder, vocabulary="encoder.json", merges="vocab.bpe"):
    model = json.loads(saved("bytes"))["model"]
    (folder / vocabulary).write_text(json.dumps(model["vocab"]), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"])]
    (folder / merges).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / vocabulary


@pytest.mark.parametrize("kind", ["wordpiece", "cased"])
def test_berts_vocabulary_gives_the_ids_of_transformers(tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    path = write_vocabulary(tmp_path, kind)
    if kind == "wordpiece":
        (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    ours = Tokenizer.load(path)
    theirs = transformers.BertTokenizer(vocab=str(path), do_lower_case=kind == "wordpiece")
    for text in SENTENCES:
        assert [int(ours.file_ids[token]) for token in ours.encode(text)] == theirs.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("names", [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")])
def test_gpt2s_files_give_the_ids_of_the_tokenizer_they_came_from(tmp_path, names):
    ours = Tokenizer.load(write_byte_pairs(tmp_path, *names))
    original = tokenizers.Tokenizer.from_str(saved("bytes").decode())
    original.no_truncation()
    original.no_padding()
    for text in SENTENCES:
        assert [int(ours.file_ids[token]) for token in ours.encode(text)] == original.encode(text, add_special_tokens=False).ids


def test_settings_beside_the_file_say_the_special_tokens(tmp_path):
    content = json.loads(saved("wordpiece"))
    content["post_processor"] = None
    content["model"]["vocab"]["[NAME]"] = len(content["model"]["vocab"])
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"mask_token": {"content": "[NAME]"}}))
    ours = Tokenizer.load(tmp_path)
    assert ours.file_ids[-1] == content["model"]["vocab"]["[NAME]"] and "[MASK]" in ours.vocabulary.ids


def test_a_vocabulary_with_both_styles_follows_its_own_beginning(tmp_path):
    """MPNet's: BERT's vocabulary with <s> and others put in front."""
    content = json.loads(saved("wordpiece"))
    vocabulary = content["model"]["vocab"]
    for token in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
        vocabulary[token] = len(vocabulary)
    content["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", vocabulary["</s>"]],
                                 "cls": ["<s>", vocabulary["<s>"]], "trim_offsets": True, "add_prefix_space": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    ours = Tokenizer.load(tmp_path)
    assert [int(ours.file_ids[row]) for row in (0, 1, 2, 3, -1)] == [
        vocabulary[token] for token in ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")]
    assert ours.encode("rivers 中国") == Tokenizer.load(tmp_path).encode("rivers 中国")


def test_a_vocabulary_without_a_role_has_no_id_for_it(tmp_path):
    content = json.loads(saved("bytes"))
    for token in ("<pad>", "<mask>"):
        del content["model"]["vocab"][token]
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in ("<pad>", "<mask>")]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    ours = Tokenizer.load(tmp_path)
    assert ours.file_ids[1] == -1 and ours.file_ids[-1] == -1 and ours.vocabulary.symbols[-1] == "<mask>"


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda folder: (folder / "vocab.bpe").unlink(), "merges beside it"),
    (lambda folder: (folder / "vocab.bpe").write_text("#version: 0.2\nq q q\n"), r"vocab\.bpe:2: expected two pieces"),
])
def test_bad_merges_are_refused(tmp_path, spoil, message):
    path = write_byte_pairs(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message):
        Tokenizer.load(path)


def test_a_vocabulary_without_an_unknown_piece_is_refused(tmp_path):
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"vocab\.txt: expected BERT's vocabulary"):
        Tokenizer.load(tmp_path)
