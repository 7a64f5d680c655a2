"""The argument reasoning comprehension task, and what its data can tell a model without any reasoning."""
