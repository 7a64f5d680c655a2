"""Changing what an embedding module holds rows for, without training: extend, prune, merge (docs/ecosystem.md)."""
