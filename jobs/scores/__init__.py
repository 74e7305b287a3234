"""Scores of submissions: the columns of leaderboards, who sees which, and how entries are ranked."""
