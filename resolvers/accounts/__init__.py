"""Signing in and signing up, and the actions on one's own account."""
