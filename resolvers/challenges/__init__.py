"""Challenges at work: submissions and their evaluations, leaderboards, and who takes part."""
