"""Verbs that make artefacts: text, bodies, embeddings, task bodies, models."""
