"""The process: HTTP, sockets, settings, command line. Knows every other room."""
