"""The parts of a report: tables and figures of what was found."""
