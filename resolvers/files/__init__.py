"""Files: who may bring which, how their bytes come in, are checked and stored, and when they go."""
