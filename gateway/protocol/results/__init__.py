"""Results and other files of a simulation over HTTP."""
