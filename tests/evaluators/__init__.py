"""The built-in evaluators of challenges."""
