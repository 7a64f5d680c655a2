"""What fairseq-train is told of task adaptation. Only here does this folder import fairseq."""
