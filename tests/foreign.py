"""Small tokenizers of the `tokenizers` library, one of every kind that published models have."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

SENTENCES = (
    "The naïve café owner reads old books about rivers, and über mountains!", "İstanbul'da 12 çocuk kitap okuyor.",
    "قرأ الولد كتابا جديدا عن الأنهار والجبال", "เด็กชายอ่านหนังสือเล่มใหม่เกี่ยวกับแม่น้ำ", "孩子在学校读了一本关于河流的新书",
    "Быстрая лиса, ёжик и медведь", "हिन्दी की लिपि, क़लम", "Tiếng Việt rất hay", "ｆｕｌｌ ﬁ ½ ①", "👍🏽 🇩🇪 👨‍👩‍👧",
)
BERT = ("[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
KINDS = ("wordpiece", "cased", "bytes", "bytes-prefix", "bpe", "unigram")


def lines(count: int = 300) -> list[str]:
    """Sentences with their words shuffled."""
    draw = random.Random(5)
    found = []
    for number in range(count):
        words = SENTENCES[number % len(SENTENCES)].split(" ")
        draw.shuffle(words)
        found.append(" ".join(words))
    return found


def trained(kind: str, size: int = 420) -> Any:
    """A tokenizer as its published like is built; special tokens as there."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    if kind in ("wordpiece", "cased"):
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=kind == "wordpiece")
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(BERT), show_progress=False)
        ends = ("[CLS]", "[SEP]")
    elif kind.startswith("bytes"):
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "bytes-prefix")
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(ROBERTA),
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
        ends = ("<s>", "</s>")
    elif kind == "bpe":
        made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
        made.normalizer = normalizers.NFC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(ROBERTA), show_progress=False)
        ends = ("<s>", "</s>")
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=list(ROBERTA), unk_token="<unk>",
                                          show_progress=False)
        ends = ("<s>", "</s>")
    made.train_from_iterator(lines(), trainer)
    special = [(token, made.token_to_id(token)) for token in ends]
    single, pair = f"{ends[0]} $A {ends[1]}", f"{ends[0]} $A {ends[1]} $B:1 {ends[1]}:1"
    made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    made.enable_truncation(8)  # as sentence encoders are saved
    made.enable_padding()
    return made


@cache
def saved(kind: str) -> bytes:
    """Its `tokenizer.json`."""
    return str(trained(kind).to_str()).encode()
