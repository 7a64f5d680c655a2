"""ELECTRA: generator and discriminator, sampling of replacements, hardness heads."""
