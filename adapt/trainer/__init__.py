"""What fairseq-train is told of language adaptation. Only here does this folder import fairseq."""
