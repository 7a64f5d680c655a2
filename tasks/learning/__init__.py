"""Learning a task: one training, several seeds, few examples, several languages, the body out of a checkpoint."""
