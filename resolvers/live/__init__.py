"""What subscriptions send."""
