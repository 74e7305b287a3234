"""GraphQL operations: reading documents, running them, sharing subscriptions, and making the responses."""
