"""Heads on a body: classification, spans."""
