"""What a model says of a text: replaced tokens, fillers of masks."""
