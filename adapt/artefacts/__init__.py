"""The Embedding artefact, its card, and swapping one embedding for another."""
