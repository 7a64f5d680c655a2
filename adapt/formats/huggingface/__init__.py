"""Models in the folders that Hugging Face's `save_pretrained` writes: names, files, vocabularies, tokenizers.

Nothing here imports transformers: a model folder is JSON and safetensors. Only a tokenizer is built with `tokenizers`.
"""
