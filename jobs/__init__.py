"""The work itself: engines, the worker, and the programs that tasks run. Imports no other room."""
