"""Archives of other platforms become rows of this one: each can be read again, and nothing is taken twice."""
