"""Verbs that exchange models with other toolkits and the hub."""
