"""Types of specs."""
