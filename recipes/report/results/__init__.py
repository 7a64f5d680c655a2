"""What was found: records and artefacts, which arm they are, cells over seeds."""
