"""How rows are written: found, checked, changed, put on record."""
