"""One label for every word."""
