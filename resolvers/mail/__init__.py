"""Messages to people: the outbox, and the templates of their texts."""
