"""The engines: how and where the worker of a task is started."""
