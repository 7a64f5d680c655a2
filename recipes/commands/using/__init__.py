"""Verbs that use a finished model, or look at one."""
