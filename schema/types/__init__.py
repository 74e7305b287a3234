"""The areas of the schema: its types, and the fields at its roots."""
