"""The engines: how a task's worker is started, and where."""
