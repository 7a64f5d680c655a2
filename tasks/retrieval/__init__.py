"""Retrieval: which sentence of one language translates which of another, by the vectors that one body gives under two
embeddings."""
