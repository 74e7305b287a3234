"""What the gateway does: reads, writes, access rules, sign-in, jobs. Imports `db` and `jobs`, and no GraphQL type."""
