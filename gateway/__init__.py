"""The process: HTTP, WebSocket, background work, settings and the command line. Imports all other rooms."""
