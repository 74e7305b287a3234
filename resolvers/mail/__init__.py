"""Messages to people: the outbox that they wait in, and their words."""
