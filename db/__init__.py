"""Tables and stored bytes. Knows no other room."""
