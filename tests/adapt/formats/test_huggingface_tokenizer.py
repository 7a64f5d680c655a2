"""The exported tokenizer has the ids of our SentencePiece model, in many scripts, and is a bijection with it."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import pytest

from adapt.formats.huggingface.tokenizer import SAMPLES, build, check, read_rules, write_tokenizer
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.base.checkpoints import guard_torchaudio
from pretrain.base.errors import UserError
from pretrain.base.files import write_json

guard_torchaudio()
transformers = pytest.importorskip("transformers")

TEXTS = {
    "Latin": "the quick brown fox jumps over the lazy dog; naïve cafés in Zürich; tiếng Việt là ngôn ngữ của người Việt",
    "Cyrillic": "быстрая коричневая лиса прыгает через ленивую собаку, а ёжик ест яблоко",
    "Greek": "η γρήγορη αλεπού πηδάει πάνω από τον τεμπέλη σκύλο",
    "Arabic": "اللغة العربية جميلة وكَتَبَ الطَّالِبُ الدَّرْسَ في المدرسة، ٣٤٥",
    "Hebrew": "שָׁלוֹם עֲלֵיכֶם בְּרֵאשִׁית בָּרָא",
    "Devanagari": "हिन्दी भारत की राजभाषा है और क़लम से लिखी जाती है",
    "Bengali": "বাংলা ভাষা একটি সুন্দর ভাষা কোন কৌশল",
    "Tamil": "தமிழ் மொழி ஒரு செம்மொழி கொண்டு",
    "Thai": "ภาษาไทยเป็นภาษาราชการของประเทศไทย น้ำใจ กำลัง",
    "Han": "中文是世界上使用人数最多的语言之一。我们今天去学校学习数学。",
    "Kana": "日本語の文章です。ガギグ ﾊﾟﾋﾟ がぎぐ",
    "Hangul": "한국어는 한국의 공용어입니다. 우리는 학교에 갑니다.",
    "emoji": "pizza 🍕 family 👨‍👩‍👧 flag 🇩🇪 thumb 👍🏽 heart ❤️ key 1️⃣ ©️ ™",
}
FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@pytest.fixture(scope="module", params=[("unigram", False), ("unigram", True), ("bpe", False), ("bpe", True)],
                ids=["unigram", "unigram-bytes", "bpe", "bpe-bytes"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return trained(*request.param)


@cache
def trained(kind: str, fallback: bool) -> Tokenizer:
    lines = []
    for text in TEXTS.values():
        words = text.split()
        lines += [" ".join(words[n % len(words):] + words[:n % len(words)]) for n in range(12)]
    return Tokenizer(train_tokenizer(lines, 700, model_type=kind, byte_fallback=fallback))


@pytest.fixture(scope="module")
def auto(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(tokenizer, folder, 12)
    write_json(folder / "config.json", {"model_type": "electra", "vocab_size": len(tokenizer)})
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("script", TEXTS)
def test_ids_are_sentencepieces(script: str, tokenizer: Tokenizer, auto: Any) -> None:
    texts = [TEXTS[script], *(unicodedata.normalize(form, TEXTS[script]) for form in FORMS), *TEXTS[script].split(),
             f"  {TEXTS[script]}\t\u00a0 x\n"]
    assert [auto.encode(text, add_special_tokens=False) for text in texts] == tokenizer.encode_batch(texts)


def test_ids_on_everything_that_is_checked_at_export(tokenizer: Tokenizer, auto: Any) -> None:
    for text, ids in zip(SAMPLES, tokenizer.encode_batch(SAMPLES), strict=True):
        assert auto.encode(text, add_special_tokens=False) == ids, text


@pytest.mark.parametrize("around", ["{}", "a{}b", "が{}가"])
def test_every_assigned_character_has_sentencepieces_ids(around: str) -> None:
    """Not samples: all of this Python's Unicode, alone and between letters that may be composed with it. Bytes show them all."""
    tokenizer = trained("unigram", True)
    made = build(tokenizer)
    texts = [around.format(chr(point)) for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")]
    assert len(texts) > 144_000  # Unicode 14
    ours, theirs = tokenizer.encode_batch(texts), made.encode_batch(texts, add_special_tokens=False)
    wrong = [ascii(text) for text, one, other in zip(texts, ours, theirs, strict=True) if other.ids != one]
    assert wrong == []


def test_characters_that_the_rules_leave_alone_are_left_alone(tokenizer: Tokenizer, auto: Any) -> None:
    """SentencePiece's nmt_nfkc keeps the fullwidth tilde of Chinese and Japanese, and does not compose U+0344 with a letter."""
    for text, normal in (("３～５", "▁3～5"), ("a\u0344b", "▁a\u0308\u0301b")):
        assert auto.backend_tokenizer.normalizer.normalize_str(text) == normal
        assert auto.encode(text, add_special_tokens=False) == tokenizer.encode(text)


def test_marks_keep_the_order_in_which_they_were_written(tokenizer: Tokenizer, auto: Any) -> None:
    """Full NFKC would sort them; Arabic keyboards write shadda first, Vietnamese ones put tones behind composed vowels."""
    for text in ("الطّ\u064eالب", "\u0644\u0651\u064e", "ê\u0323 ơ\u0301", "x\u0301\u0323", "가\u11a8"):
        assert auto.encode(text, add_special_tokens=False) == tokenizer.encode(text)


def test_pieces_and_ids_are_a_bijection(tokenizer: Tokenizer, auto: Any) -> None:
    symbols = tokenizer.vocabulary.symbols
    assert len(auto) == auto.vocab_size == len(symbols)
    assert auto.convert_ids_to_tokens(list(range(len(symbols)))) == symbols
    assert auto.convert_tokens_to_ids(symbols) == list(range(len(symbols)))


def test_special_tokens_stand_where_ours_do(tokenizer: Tokenizer, auto: Any) -> None:
    assert (auto.cls_token_id, auto.pad_token_id, auto.sep_token_id, auto.unk_token_id) == (0, 1, 2, 3)
    assert auto.mask_token_id == tokenizer.vocabulary.mask and auto.model_max_length == 12
    one, two = (tokenizer.encode(text) for text in ("the fox", "der hund"))
    assert auto("the fox").input_ids == [0, *one, 2]
    assert auto("the fox", "der hund").input_ids == [0, *one, 2, 2, *two, 2]  # as tasks/encoding.py
    assert auto(["the fox", "the"], padding=True).input_ids[1][-1] == 1
    assert tokenizer.vocabulary.mask in auto("the <mask> fox").input_ids


def test_ids_become_the_text_again(tokenizer: Tokenizer, auto: Any) -> None:
    for text in TEXTS.values():
        ids = tokenizer.encode(text)
        if 3 not in ids:
            assert auto.decode(ids, skip_special_tokens=True) == tokenizer.decode(ids)
    assert 3 not in tokenizer.encode(TEXTS["Cyrillic"])


def test_difference_refuses_the_export(tokenizer: Tokenizer) -> None:
    made = build(tokenizer)
    made.normalizer = None
    with pytest.raises(UserError, match=r"would give other ids than this one for 'the fox' .*--no-tokenizer"):
        check(tokenizer, made, ["the fox"])


def train(**settings: Any) -> Tokenizer:
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(list(TEXTS.values()) * 5), model_writer=model, minloglevel=2,
                                             vocab_size=400, character_coverage=1.0, hard_vocab_limit=False, **settings)
    return Tokenizer(model.getvalue(), "their.model")


@pytest.mark.parametrize("settings", [{"normalization_rule_name": "identity"}, {"normalization_rule_name": "nfkc"},
                                      {"add_dummy_prefix": False}, {"remove_extra_whitespaces": False},
                                      {"split_by_whitespace": False}])
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_settings_of_other_peoples_models(kind: str, settings: dict[str, Any]) -> None:
    tokenizer = train(model_type=kind, **settings)
    check(tokenizer, build(tokenizer), [*SAMPLES, *TEXTS.values()])


@pytest.mark.parametrize("settings, said", [
    ({"normalization_rule_name": "nmt_nfkc_cf"}, "normalisation rules 'nmt_nfkc_cf'"),
    ({"user_defined_symbols": ["[X]"]}, "1 user-defined pieces"),
    ({"treat_whitespace_as_suffix": True}, "the word boundary after the word"),
    ({"model_type": "char"}, "algorithm 'char'"),
])
def test_settings_that_cannot_be_followed_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"their.model: a SentencePiece model with {said}"):
        read_rules(train(**settings))
