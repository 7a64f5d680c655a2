"""The tokenizer: ids are a bijection with the SentencePiece pieces, training is deterministic, spans are exact."""

import pickle
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import sentencepiece

from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.base.errors import UserError

ROOT = Path(__file__).parents[4]
SCRIPTS = {
    "latin": "the naïve café owner reads old books about rivers and über mountains",
    "arabic": "قرأ الولد كتابا جديدا عن الأنهار والجبال في المدرسة",
    "thai": "เด็กชายอ่านหนังสือเล่มใหม่เกี่ยวกับแม่น้ำและภูเขา",
    "han": "孩子在学校读了一本关于河流和山脉的新书",
}
WORDS = {
    **{script: SCRIPTS[script].split(" ") for script in ("latin", "arabic")},
    "thai": ["เด็กชาย", "อ่าน", "หนังสือ", "เล่ม", "ใหม่", "เกี่ยวกับ", "แม่น้ำ", "และ", "ภูเขา"],
    "han": ["孩子", "在", "学校", "读了", "一本", "关于", "河流", "和", "山脉", "的", "新书"],
}


def sentences(count=1200, seed=3):
    """Lines of shuffled words of the four scripts, two of which have no spaces."""
    draw = random.Random(seed)
    lines = []
    for number in range(count):
        script = list(SCRIPTS)[number % 4]
        parts = list(WORDS[script])
        draw.shuffle(parts)
        lines.append((" " if script in ("latin", "arabic") else "").join(parts))
    return lines


@pytest.fixture(scope="module", params=["unigram", "bpe", "bytes"])
def tokenizer(request):
    kind = "unigram" if request.param == "bytes" else request.param
    size = 480 if request.param == "bytes" else 200
    return Tokenizer(train_tokenizer(sentences(), size, model_type=kind, byte_fallback=request.param == "bytes"))


def test_ids_are_a_bijection_with_the_pieces(tokenizer):
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    own = [processor.id_to_piece(i) for i in range(len(processor)) if i not in (0, 1, 2)]  # <unk> <s> </s>
    assert tokenizer.vocabulary.symbols == ["<s>", "<pad>", "</s>", "<unk>", *own, "<mask>"]
    assert tokenizer.file_size == len(processor)
    assert len(tokenizer) == len(processor) + 2
    for line in sentences(40, seed=9):
        pieces = processor.encode(line, out_type=str)
        assert tokenizer.encode(line) == [tokenizer.vocabulary.ids.get(piece, 3) for piece in pieces]


def test_special_ids(tokenizer):
    assert tokenizer.vocabulary.special_ids() == {
        "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": len(tokenizer) - 1}


def test_text_survives_the_round_trip(tokenizer):
    for line in sentences(40, seed=5):
        ids = tokenizer.encode(line)
        assert min(ids) > 3
        assert tokenizer.decode([0, *ids, 2, 1, tokenizer.vocabulary.mask]) == unicodedata.normalize("NFKC", line)


def test_batch_equals_single(tokenizer):
    lines = [*sentences(9), ""]
    assert tokenizer.encode_batch(lines) == [tokenizer.encode(line) for line in lines]
    assert tokenizer.encode("") == []
    assert tokenizer.encode_batch([]) == []
    ids, lengths = tokenizer.encode_flat(lines)
    assert ids.tolist() == [token for line in lines for token in tokenizer.encode(line)]
    assert lengths.tolist() == [len(tokenizer.encode(line)) for line in lines]


def test_specials_written_in_text_are_ordinary_text(tokenizer):
    assert not {0, 1, 2, tokenizer.vocabulary.mask} & set(tokenizer.encode("a <s> b </s> <pad> <mask>"))


def test_decode_refuses_foreign_ids(tokenizer):
    with pytest.raises(UserError, match="another tokenizer"):
        tokenizer.decode([len(tokenizer)])


@pytest.mark.parametrize("script", SCRIPTS)
def test_offsets_cover_the_original_text(tokenizer, script):
    text = "  " + SCRIPTS[script].replace(" ", "\t ") + "\n" + SCRIPTS[script]
    ids, spans = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    covered: set[int] = set()
    for token, (start, end) in zip(ids, spans, strict=True):
        piece = tokenizer.vocabulary.symbols[token]
        written = text[start:end]
        assert written == written.strip()
        if piece.startswith("<0x"):
            assert len(written) == 1
        elif token != 3:
            normal, piece = unicodedata.normalize("NFKC", written), piece.replace("▁", "")
            assert normal == piece or "ำ" in text[start:end + 1]  # normalised to two letters, which may part
        covered.update(range(start, end))
    assert covered == {i for i, character in enumerate(text) if not character.isspace()}
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)


def test_offsets_where_normalisation_changes_the_length(tokenizer):
    text = "a ﬁne Ⅷ x"  # NFKC writes the ligature as two letters and the numeral as four
    ids, spans = tokenizer.encode_with_offsets(text)
    assert len(ids) == len(spans)
    assert "".join(text[i] for i in sorted({i for start, end in spans for i in range(start, end)})) == "aﬁneⅧx"
    for token, (start, end) in zip(ids, spans, strict=True):
        assert end > start or tokenizer.vocabulary.symbols[token] == "▁"


def test_unknown_characters():
    plain = Tokenizer(train_tokenizer(sentences(), 200))
    assert 3 in plain.encode("Ω")
    with_bytes = Tokenizer(train_tokenizer(sentences(), 480, byte_fallback=True))
    ids, spans = with_bytes.encode_with_offsets("Ωa")
    assert 3 not in ids
    assert with_bytes.decode(ids) == "Ωa"
    assert spans[-3:] == [(0, 1), (0, 1), (1, 2)]  # both bytes of the letter carry its span


def test_load_from_folder_and_file(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.model")
    for path in (tmp_path, tmp_path / "tokenizer.model"):
        assert Tokenizer.load(path).sha256 == tokenizer.sha256
    assert pickle.loads(pickle.dumps(tokenizer)).encode("rivers") == tokenizer.encode("rivers")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 100])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(UserError, match="expected a SentencePiece model"):
        Tokenizer.load(tmp_path)


def test_missing_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"expected a SentencePiece model \(tokenizer.model\) or a tokenizer.json, found nothing"):
        Tokenizer.load(tmp_path)


def test_training_gives_the_same_bytes_on_any_number_of_cores():
    code = ("import hashlib, os, random, sys\n"
            "if sys.argv[1] == '1' and hasattr(os, 'sched_setaffinity'):\n"
            "    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
            "from adapt.text.tokenizer import train_tokenizer\n"
            "draw = random.Random(1)\n"
            "words = [''.join(draw.choices('abcdefghij', k=draw.randint(1, 9))) for _ in range(800)]\n"
            "lines = [' '.join(draw.choices(words, k=12)) for _ in range(1500)]\n"
            "print(hashlib.sha256(train_tokenizer(lines, 300, seed=1, characters=60_000)).hexdigest())\n")
    hashes = {subprocess.run([sys.executable, "-c", code, cores], cwd=ROOT, check=True, capture_output=True,
                             text=True).stdout for cores in ("1", "all", "all")}
    assert len(hashes) == 1


def test_the_sample_follows_the_seed():
    lines = sentences(2000)
    first = train_tokenizer(lines, 150, seed=1, characters=20_000)
    assert train_tokenizer(iter(lines), 150, seed=1, characters=20_000) == first
    assert train_tokenizer(lines, 150, seed=2, characters=20_000) != first


def test_a_long_line_is_not_lost():
    text = " ".join(sentences(3000))
    assert len(text) > 100_000
    assert train_tokenizer([text], 150)


def test_a_small_text_gives_a_smaller_vocabulary():
    assert 10 < Tokenizer(train_tokenizer(["some words", "more words"] * 5, 5000)).file_size < 100


@pytest.mark.parametrize(("lines", "settings", "message"), [
    (sentences(), {"vocab_size": 20}, r"smaller than the text's alphabet; pass at least --vocab-size \d+"),
    ([], {"vocab_size": 100}, "no text to learn from"),
    (["\u0007"], {"vocab_size": 100}, "give it more text"),
    (["text"], {"vocab_size": 2}, "expected at least 5"),
    (["text"], {"vocab_size": 100, "model_type": "word"}, "unigram, bpe"),
    (["text"], {"vocab_size": 100, "character_coverage": 2.0}, "expected a share"),
])
def test_training_errors(lines, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        train_tokenizer(lines, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("script", SCRIPTS)
def test_text_with_a_mask_is_the_text_with_its_piece_hidden(tokenizer, script):
    """As in pre-training, which hides a piece of the ids: for every piece that can be written as a stretch of the text."""
    mask, checked = tokenizer.vocabulary.mask, 0
    for text in (SCRIPTS[script], SCRIPTS[script] + "Ω Ω, " + SCRIPTS[script][:9]):  # Ω: unknown, or two bytes
        ids, spans = tokenizer.encode_with_offsets(text)
        for place, (start, end) in enumerate(spans):
            piece = tokenizer.vocabulary.symbols[ids[place]]
            before = tokenizer.vocabulary.symbols[ids[place - 1]] if place else ""
            if piece.startswith("<") or before == "▁" or spans.count((start, end)) > 1:
                continue  # unknown letters and bytes; a word whose boundary is a token of its own; half a character
            hidden = tokenizer.encode_with_masks(f"{text[:start]}<mask>{text[end:]}")
            if "ำ" not in text[start - 1:end + 1]:  # normalised to two letters, which may part
                assert hidden == [*ids[:place], mask, *ids[place + 1:]], (text, place)
                checked += 1
    assert checked > 10


def test_text_with_several_masks(tokenizer):
    mask = tokenizer.vocabulary.mask
    ids = tokenizer.encode("the owner reads")
    alone = [tokenizer.encode(word) for word in ("the", "owner", "reads")]
    assert ids == [token for word in alone for token in word]
    for text in ("the <mask> reads <mask>", "  the  <mask>\treads\n<mask> "):
        assert tokenizer.encode_with_masks(text) == [*alone[0], mask, *alone[2], mask]
    for text in ("<mask><mask>", "<mask> <mask>", " <mask>  <mask> "):
        assert tokenizer.encode_with_masks(text) == [mask, mask]


def test_what_follows_a_mask_begins_a_word_only_after_a_space(tokenizer):
    mask, symbols = tokenizer.vocabulary.mask, tokenizer.vocabulary.symbols
    apart, joined = (tokenizer.encode_with_masks(text) for text in ("<mask> owner", "<mask>owner"))
    assert apart == [mask, *tokenizer.encode("owner")]
    assert joined != apart and "".join(symbols[token] for token in joined[1:]) == "owner"


def test_text_without_a_mask_is_encoded_as_ever(tokenizer):
    for text in (*SCRIPTS.values(), "", "  a b "):
        assert tokenizer.encode_with_masks(text) == tokenizer.encode(text)


def test_unknown_letter_after_a_mask_is_kept():
    tokenizer = Tokenizer(train_tokenizer(sentences(), 200))
    mask = tokenizer.vocabulary.mask
    assert tokenizer.encode_with_masks("<mask>Ωa") == [mask, 3, *tokenizer.encode_with_masks("<mask>a")[1:]]
    assert tokenizer.encode_with_masks("<mask>Ω<mask>") == [mask, 3, mask]


def test_normalisation():
    texts = ["می‌خواهم بروم", "ﬁve ﬁnds ﬁt"] * 50
    pieces = {rule: "".join(Tokenizer(train_tokenizer(texts, 60, normalisation=rule, character_coverage=1.0)).vocabulary.pieces)
              for rule in ("nmt_nfkc", "nfkc", "identity")}
    assert {rule: "\u200c" in text for rule, text in pieces.items()} == {"nmt_nfkc": False, "nfkc": True, "identity": True}
    assert {rule: "ﬁ" in text for rule, text in pieces.items()} == {"nmt_nfkc": False, "nfkc": False, "identity": True}
    assert train_tokenizer(texts, 60) == train_tokenizer(texts, 60, normalisation="nmt_nfkc")
    with pytest.raises(UserError):
        train_tokenizer(texts, 60, normalisation="nfc")


def test_bounds_of_the_character_coverage():
    with pytest.raises(UserError, match=r"expected a share from 0.98, SentencePiece's own bound, to 1"):
        train_tokenizer(["text"], 100, character_coverage=0.95)
