"""Text: corpora, tokenizers, binarised blocks, windows, words."""
