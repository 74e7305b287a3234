"""How a field is answered. Knows the database and the jobs; knows no GraphQL type."""
