"""The demonstration data of all areas, computed here and stored as users would store it."""
