"""Results of programs: their form and its checks, their numbers on the way, and how those of several tasks are put
together."""
