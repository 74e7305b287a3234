"""Files, and the uploads that bring them."""
