"""Simulations: what was asked, what came out, who shares it, and its files."""
