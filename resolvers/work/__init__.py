"""Running jobs of every kind: commands of users, placement, the dispatcher, and what workers call."""
