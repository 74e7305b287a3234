"""Who is asking: credentials, tokens and identity providers, and the principal that they belong to."""
