"""The whole journey in the miniature world."""
