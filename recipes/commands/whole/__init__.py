"""Verbs around the whole: runs of many cells, settings, the miniature world, benchmarks."""
