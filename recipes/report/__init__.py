"""Results of runs -> one HTML page, Markdown, the paper's tables."""
