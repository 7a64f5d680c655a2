"""The Body artefact: its tensors, fingerprint and lineage, and what a pair adds."""
