"""Challenges: phases, evaluators, submissions, leaderboards, and who takes part."""
