"""The read engine: it reads an operation's rows in one statement where it can, else in one statement for each level."""
