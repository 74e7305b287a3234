"""Sessions: their types, members and events, and what is done to them."""
