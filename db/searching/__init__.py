"""Texts that are searched and ordered by: their folds, and the indexes that find parts of them."""
