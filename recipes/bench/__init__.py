"""Benchmarks: steps, preparation, question answering, operations, scheduling."""
