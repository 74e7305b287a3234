"""The database: its tables, connections, statements and migrations. Imports no other room."""
