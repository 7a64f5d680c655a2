"""The model card that is written beside every embedding module."""

from __future__ import annotations

from typing import Any


def model_card(record: dict[str, Any]) -> str:
    """Markdown with YAML front matter, made from nothing but the record of the embedding (`embedding.json`)."""
    made = record["made"]
    rows = [
        ("language", record["language"]),
        ("rows × width", f"{record['rows']:,} × {record['width']:,}"),
        ("lineage of the body", f"`{record['lineage']}`"),
        ("tokenizer (SHA-256)", f"`{record['tokenizer_sha256']}`"),
        ("fingerprint", f"`{record['fingerprint']}`"),
        *((key.replace("_", " "), value) for key, value in made.items() if not isinstance(value, dict | list)),
    ]
    table = "\n".join(f"| {key} | {value} |" for key, value in rows)
    language = record["language"]
    return f"""---
library_name: relexify
language: {language}
tags: [modular-embedding, language-adaptation]
---

# Embedding module for `{language}`

A tokenizer, a token-embedding layer and an output bias for one language. It is not a model by itself: it works with
bodies of the lineage below, and only with them.

| | |
|---|---|
{table}

```
relexify assemble --body TASK_BODY --embedding THIS_FOLDER --output MODEL
```
"""
