"""Verbs that score, and that put scores side by side."""
