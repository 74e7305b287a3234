"""The package index, from which pip and others install."""
