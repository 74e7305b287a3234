"""The migrations, run by `torana migrate` and by the demo."""
