"""Demonstration data of all four families, made here and put in as a user would."""
