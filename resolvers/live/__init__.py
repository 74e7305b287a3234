"""Subscriptions: what they follow, and what they send."""
