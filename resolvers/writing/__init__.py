"""How rows are written: create, change, delete and restore, with checks, consequences and the audit record."""
