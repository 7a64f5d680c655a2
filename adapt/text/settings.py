"""Settings of one preparation of text; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain.base.settings import Range, like, setting
from pretrain.settings import CHEN_TABLE, PretrainRecipe

DEFAULT_VOCAB_SIZE = 50_000
DEFAULT_VALID_FRACTION = 0.01
DOCUMENTS = ("auto", "line", "blank")
MODEL_TYPES = ("unigram", "bpe")
NORMALISATIONS = ("nmt_nfkc", "nfkc", "identity")
KUDO = "Kudo and Richardson 2018"


@dataclass
class PrepareSettings:
    """One preparation: text to a tokenizer and binarised token ids."""

    texts: tuple[str, ...] = setting(MISSING, "plain text, .jsonl or .parquet, also as .gz, .xz or .zst; a folder of its parts; "
                                     "or hf:NAME[:CONFIG[:SPLIT]]", unit="files")
    language: str = setting(MISSING, "BCP-47 code, such as sw or zh-Hant", unit="name")
    output: str = setting(MISSING, "the folder to write", unit="folder")
    vocab_size: int | None = setting(None, f"pieces of the tokenizer to train (default {DEFAULT_VOCAB_SIZE}; fewer if the text "
                                     "has no more)", CHEN_TABLE, "pieces", Range(1, 10_000_000))
    tokenizer: str | None = setting(None, "encode with this tokenizer: a prepared folder, an embedding, a SentencePiece model, a "
                                    "tokenizer.json, BERT's vocab.txt, GPT-2's encoder.json (vocab.bpe beside it)", unit="folder")
    tokens: str | None = setting(None, "size of the training part, such as 5M, to within a document (default: all)", CHEN_TABLE,
                                 "tokens")
    valid_fraction: float | None = setting(None, f"share of the documents held out (default {DEFAULT_VALID_FRACTION})",
                                           unit="share", allowed=Range(0, 1, below=True))
    valid_documents: int | None = setting(None, "number of documents held out", CHEN_TABLE, "documents", Range(0, 10**9))
    documents: str = setting("auto", "a document is a line, or the lines between blank lines (auto: blank if the text's start "
                             "has them)", allowed=DOCUMENTS)
    text_field: str = setting("text", "field of a record that holds the text", unit="name")
    skip_empty: bool = setting(False, "leave out records whose text is null or empty, and say how many")
    seed: int = like(PretrainRecipe, "seed", help="draws the split and the samples")
    workers: int | None = setting(None, "processes that encode (default: the cores); never changes the result", unit="processes",
                                  allowed=Range(1, 4096))
    model_type: str = setting("unigram", "kind of tokenizer: unigram or bpe", KUDO, allowed=MODEL_TYPES)
    normalisation: str = setting("nmt_nfkc", "what the tokenizer does to text first: nmt_nfkc (which also turns a zero-width "
                                 "non-joiner into a blank), nfkc or identity", KUDO, allowed=NORMALISATIONS)
    byte_fallback: bool = setting(False, "write unknown characters as bytes rather than <unk>", KUDO)
    character_coverage: float = setting(0.9998, "share of the characters that get pieces; SentencePiece takes no less than "
                                        "0.98", CHEN_TABLE, "share", Range(0.98, 1))
    tokenizer_characters: str = setting("50M", "how much text the tokenizer learns from, drawn over the whole text",
                                       unit="characters")
