"""Migrations, run by `torana migrate` and by the demo."""
