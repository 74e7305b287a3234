"""The read engine: an operation's rows, in one statement where that can be, else in one for each level."""
