"""Whose the presented credentials are, and what their owner may be."""
