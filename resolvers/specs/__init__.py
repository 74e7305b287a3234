"""Specifications: what is stored of them, and what may be."""
