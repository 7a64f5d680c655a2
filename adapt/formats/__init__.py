"""One reader and one writer per foreign format."""
