"""A SentencePiece model as the files of a Hugging Face tokenizer that gives the same ids.

The model file is read for what its Python class does not say: its rules. Everything else is asked of SentencePiece.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.files import write_json
from pretrain.base.vocabulary import MASK_SYMBOL, SPECIALS, UNK

if TYPE_CHECKING:
    from adapt.formats.order import Order

TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
RULES = ("identity", "nmt_nfkc", "nfkc")
"""Normalisation rules that can be written exactly; those that fold case have further mappings of several characters."""
_USER_DEFINED = 4
_BOUNDARY = "\u2581"
_BREAK = "\ufff0"
"""Stands between two characters that must not be taken together. Unassigned for good, and a grapheme of its own."""
_TWO_MARKS = "\u0344"
"""The one mark that stands for two, which NFKC composes with the letter before and SentencePiece's rules do not."""
_HELD = "\ufff1\ufff2\ufff3\ufff4\ufff5\ufff6\ufff7\ufff8"
"""Stand for characters that NFKC would change and the model's rules leave as they are. Unassigned for good."""

SAMPLES = (
    "The quick brown fox, 1234 coins; naïve cafés in Zürich.", "  two  blanks \t and\nlines \u00a0", "",
    "Tiếng Việt, tie\u0302\u0301ng Vie\u0323\u0302t, ê\u0323 ơ\u0301", "Быстрая лиса, ёжик, и\u0306", "αβγ ά α\u0301",
    "اللغة العربية، الطَّالِبُ، لُّغة ا\u0654", "שָׁלוֹם עֲלֵיכֶם", "हिन्दी की लिपि, क़लम, क\u093cलम", "বাংলা ো \u09c7\u09be",
    "ภาษาไทย น้ำใจ กุ้ง", "中文是语言。学习数学", "日本語 ガ カ\u3099 ﾊﾟ", "한국어 \u1112\u1161\u11ab", "ｆｕｌｌ ﬁ ½ ① ª\u0301 ™",
    "🍕 👨‍👩‍👧 🇩🇪 👍🏽 ❤️ 1️⃣", "a\u200bb a\u00adb a\u200db \u2581c", "\u0301x", "aaaaaaaaaaaaa zzzzzzz",
    "３～５天 ～", "\u03b9\u0344 a\u0344",
)
"""Checked in every export: many scripts, composed and decomposed, marks in both orders, blanks of all kinds."""


@dataclass(frozen=True)
class Rules:
    """What a SentencePiece model file says beside its pieces (sentencepiece_model.proto).

    Attributes:
        kind: its algorithm, one of `TYPES`.
        byte_fallback: unknown characters become bytes.
        name: of the normalisation rules.
        charsmap: these rules, compiled.
        prefix: a word boundary is put in front of the text.
        collapse: blanks at the ends and repeated blanks are removed.
    """

    kind: str
    byte_fallback: bool
    name: str
    charsmap: bytes
    prefix: bool
    collapse: bool


def protobuf_fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a protocol-buffers message: an int, or bytes.

    The class that sentencepiece brings for this wants the newest protobuf; four kinds of value need no dependency.
    """
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while place < len(message):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
            continue
        length = {1: 8, 5: 4}.get(key & 7) or number()
        yield key >> 3, message[place:place + length]
        place += length


def read_kind(tokenizer: Tokenizer) -> str:
    """The algorithm of a SentencePiece model, one of `TYPES`."""
    trainer: dict[int, Any] = next((dict(protobuf_fields(value)) for field, value in protobuf_fields(tokenizer.model)
                                    if field == 2), {})
    return TYPES.get(trainer.get(3, 1), "unknown")


def read_rules(tokenizer: Tokenizer) -> Rules:
    """The rules of a model.

    Raises:
        UserError: a setting that a Hugging Face tokenizer cannot follow exactly.
    """
    tokenizer.sentencepiece()  # refuses the other kind
    parts: dict[int, dict[int, Any]] = {2: {}, 3: {}}
    user_defined = 0
    for field, value in protobuf_fields(tokenizer.model):
        if field in parts:
            parts[field] = dict(protobuf_fields(value))
        elif field == 1:
            user_defined += dict(protobuf_fields(value)).get(3, 1) == _USER_DEFINED
    trainer, normalizer = parts[2], parts[3]
    rules = Rules(TYPES.get(trainer.get(3, 1), "unknown"), bool(trainer.get(35, 0)), normalizer.get(1, b"").decode(),
                  normalizer.get(2, b""), bool(normalizer.get(3, 1)), bool(normalizer.get(4, 1)))
    refused = {f"algorithm {rules.kind!r}": rules.kind not in ("unigram", "bpe"),
               f"normalisation rules {rules.name!r}": bool(rules.charsmap) and rules.name not in RULES,
               f"{user_defined} user-defined pieces": bool(user_defined),
               "the word boundary after the word": bool(trainer.get(24, 0)),
               "blanks that are not escaped": not normalizer.get(5, 1)}
    for what, found in refused.items():
        if found:
            raise UserError(f"{tokenizer.name}: a SentencePiece model with {what}, which a Hugging Face tokenizer cannot "
                            "follow exactly; only what `relexify prepare` writes, and its like, can be exported")
    return rules


def _ranges(points: Iterable[int]) -> str:
    """A regular expression's set of characters."""
    runs: list[list[int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return "".join(f"\\x{{{first:x}}}" + (f"-\\x{{{last:x}}}" if last > first else "") for first, last in runs)


@cache
def _uncomposed() -> str:
    """Where NFKC composes or reorders, and SentencePiece's rules do not.

    These rules replace the longest known sequence. Read out of a compiled map, no sequence has a character that can be
    decomposed itself, nor a mark before one of a lower class, nor two marks outside the Latin and Greek ones.
    """
    points = range(0x30000)  # beyond the supplementary ideographs nothing combines or decomposes
    marks = {p: unicodedata.combining(chr(p)) for p in points if unicodedata.combining(chr(p))}
    latin, hangul = range(0x300, 0x370), range(0xAC00, 0xD7A4)
    composed = _ranges(p for p in points if p in hangul or (
        unicodedata.decomposition(chr(p)) and len(unicodedata.normalize("NFKD", chr(p))) > 1))
    every, others = _ranges(marks), _ranges(p for p in marks if p not in latin)
    above = _ranges(p for p in marks if marks[p] >= 230)
    below = _ranges(p for p in marks if p in latin and marks[p] < 230)
    joins = "\\p{M}\\x{1160}-\\x{11ff}\\x{ff9e}\\x{ff9f}"  # what may be composed with the character before it
    return (f"(?=[{joins}])(?:(?<=[{composed}])|(?<=[{every}])(?=[{others}])|(?<=[{above}])(?=[{below}]))")


def _kept(tokenizer: Tokenizer) -> list[str]:
    """Characters that NFKC changes and the model's own rules do not: `～` under SentencePiece's nmt_nfkc.

    Raises:
        UserError: more of them than can be held.
    """
    changed = [chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000 and unicodedata.normalize("NFKC", chr(p)) != chr(p)]
    kept = [c for c in changed if tokenizer.sentencepiece().normalize(c).removeprefix(_BOUNDARY) == c]
    if len(kept) > len(_HELD):
        raise UserError(f"{tokenizer.name}: a SentencePiece model whose normalisation rules keep {len(kept)} characters that "
                        f"NFKC changes ({''.join(kept[:5])} …), which a Hugging Face tokenizer cannot follow exactly; only what "
                        "`relexify prepare` writes, and its like, can be exported")
    return kept


def _normalizer(tokenizer: Tokenizer, rules: Rules) -> Any:
    from tokenizers import Regex, normalizers

    steps: list[Any] = []
    if rules.charsmap:
        # `Precompiled` takes the first known beginning of a grapheme for the whole: that drops the accent of ế written as
        # three characters. So sequences are composed first, and the map then sees one character at a time.
        held = list(zip(_kept(tokenizer), _HELD, strict=False))
        steps += [normalizers.Replace(character, place) for character, place in held]
        steps.append(normalizers.Replace(_TWO_MARKS, "".join(_BREAK + mark for mark in unicodedata.normalize("NFD", _TWO_MARKS))))
        steps += [normalizers.Replace(Regex(_uncomposed()), _BREAK), normalizers.NFKC(),
                  normalizers.Replace(Regex(r"(?=[\p{M}\x{200d}])"), _BREAK), normalizers.Precompiled(rules.charsmap),
                  normalizers.Replace(_BREAK, "")]
        steps += [normalizers.Replace(place, character) for character, place in held]
    if rules.collapse:
        steps += [normalizers.Replace(Regex("^ +| +$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if rules.prefix:
        steps.append(normalizers.Prepend(_BOUNDARY))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", _BOUNDARY)])


def _model(tokenizer: Tokenizer, rules: Rules, order: Order | None) -> Any:
    from tokenizers import models

    sp, symbols = tokenizer.sentencepiece(), tokenizer.vocabulary.symbols
    scores = {piece: sp.get_score(sp.piece_to_id(piece)) for piece in tokenizer.vocabulary.pieces}
    ids = tokenizer.vocabulary.ids if order is None else dict(zip(symbols, order.ids.tolist(), strict=True))
    if rules.kind == "unigram":
        listed = in_places({symbol: (scores.get(symbol, 0.0), ids[symbol]) for symbol in symbols}, min(scores.values()))
        return models.Unigram(listed, unk_id=ids[SPECIALS[UNK]], byte_fallback=rules.byte_fallback)
    merged = [piece for piece in scores if len(piece) > 1 and not sp.is_byte(sp.piece_to_id(piece))]
    merges = [(piece[:cut], piece[cut:]) for piece in sorted(merged, key=lambda piece: -scores[piece])
              for cut in range(1, len(piece)) if piece[:cut] in ids and piece[cut:] in ids]
    return models.BPE(dict(ids), merges, unk_token=SPECIALS[UNK], fuse_unk=True, byte_fallback=rules.byte_fallback)


def in_places(rows: Mapping[str, tuple[float, int]], least: float) -> list[tuple[str, float]]:
    """A unigram model's list, whose places are the ids; where no piece belongs stands one that no text gives.

    Args:
        rows: score and place of each piece.
        least: the lowest score, from which the library derives that of an unknown piece.
    """
    listed = [(f"no piece {place}", least) for place in range(max(place for _, place in rows.values()) + 1)]
    for piece, (score, place) in rows.items():
        listed[place] = (piece, score)
    return listed


def around(start: str, end: str, segments: int) -> tuple[list[str], list[str]]:
    """What stands around a text and around two, as the library's templates.

    Args:
        segments: of the body: between two texts one separator and a second type, or two separators and one type.
    """
    pair = [start, "$A", end, "$B:1", f"{end}:1"] if segments > 1 else [start, "$A", end, end, "$B", end]
    return [start, "$A", end], pair


def build(tokenizer: Tokenizer, segments: int = 1, order: Order | None = None) -> Any:
    """A `tokenizers.Tokenizer` with the pieces of `tokenizer`; `<s>` and `</s>` as our tasks put them.

    Args:
        segments: of the body, see `around`.
        order: of its ids; ours where None.

    Raises:
        UserError: the library is missing, or a setting cannot be followed.
    """
    rules = read_rules(tokenizer)
    try:
        import tokenizers
    except ImportError:
        raise UserError("exporting a tokenizer needs the package `tokenizers`; pip install 'relexify[huggingface]'") from None
    from tokenizers import AddedToken, decoders, pre_tokenizers, processors

    made = tokenizers.Tokenizer(_model(tokenizer, rules, order))
    made.normalizer = _normalizer(tokenizer, rules)
    if not any(_BOUNDARY in piece[1:] for piece in tokenizer.vocabulary.pieces):  # no piece spans words: they are cached
        made.pre_tokenizer = pre_tokenizers.Split(_BOUNDARY, "merged_with_next")
    made.add_special_tokens([AddedToken(symbol, special=True, normalized=False, lstrip=symbol == MASK_SYMBOL)
                             for symbol in (*SPECIALS, MASK_SYMBOL)])
    single, pair = around("<s>", "</s>", segments)
    made.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(symbol, made.token_to_id(symbol)) for symbol in ("<s>", "</s>")])
    steps: list[Any] = [decoders.Replace(_BOUNDARY, " ")]
    if rules.byte_fallback:
        steps.append(decoders.ByteFallback())
    steps.append(decoders.Fuse())
    if rules.prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    made.decoder = decoders.Sequence(steps)
    return made


def check(tokenizer: Tokenizer, made: Any, texts: Sequence[str], order: Order | None = None) -> None:
    """Compares the two on texts.

    Args:
        order: of the exported ids; ours where None.

    Raises:
        UserError: they differ, with the first text for which they do.
    """
    for text, ours in zip(texts, tokenizer.encode_batch(texts), strict=True):
        theirs = made.encode(text, add_special_tokens=False).ids
        wanted = ours if order is None else order.ids[ours].tolist()
        if theirs != wanted:
            odd = next((token.content for token in made.get_added_tokens_decoder().values() if token.content in text), None)
            if odd is not None:
                raise UserError(f"{tokenizer.name}: the text {text[:60]!r} holds {odd!r}, text here and the special token "
                                "in transformers, so that ids cannot be the same; take the line out of --check-text")
            raise UserError(f"{tokenizer.name}: the exported tokenizer would give other ids than this one for "
                            f"{text[:60]!r} ({theirs[:8]} and {wanted[:8]}); nothing was written; export the model without a "
                            f"tokenizer (--no-tokenizer) and encode with {tokenizer.file_name}")


def write_tokenizer(tokenizer: Tokenizer, folder: Path, longest: int, texts: Sequence[str] = (), segments: int = 1,
                    order: Order | None = None) -> None:
    """`tokenizer.json` and `tokenizer_config.json` of a SentencePiece model, after comparing ids on `SAMPLES` and `texts`.

    Args:
        longest: the model's longest input in tokens.
        segments: of the body, see `around`.
        order: of the ids; ours where None.
    """
    made = build(tokenizer, segments, order)
    check(tokenizer, made, [*SAMPLES, *texts], order)
    made.save(str(folder / "tokenizer.json"))
    write_settings(folder, longest, segments)


def write_settings(folder: Path, longest: int, segments: int = 1, names: Mapping[str, str] | None = None) -> None:
    """`tokenizer_config.json` alone: transformers then misses `tokenizer.json`, where it would make up an empty vocabulary.

    Args:
        names: of our special tokens in that file, where they have others.
    """
    named = {symbol: symbol for symbol in (*SPECIALS, MASK_SYMBOL)} | dict(names or {})
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, "padding_side": "right",
        "bos_token": named["<s>"], "cls_token": named["<s>"], "eos_token": named["</s>"], "sep_token": named["</s>"],
        "pad_token": named["<pad>"], "unk_token": named["<unk>"], "mask_token": named[MASK_SYMBOL],
        "model_input_names": ["input_ids", *(["token_type_ids"] if segments > 1 else []), "attention_mask"],
        "clean_up_tokenization_spaces": False})
