"""What fairseq-train is told of pre-training. Only here does this folder import fairseq."""
