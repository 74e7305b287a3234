"""Our own client for Python, of `clients/python/`."""
