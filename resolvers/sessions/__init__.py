"""Sessions at work: how far they are, who is in them, what happens in them, and their assets."""
