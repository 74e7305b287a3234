"""Simulations and their results."""
