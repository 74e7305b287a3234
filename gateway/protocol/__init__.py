"""HTTP and WebSocket, as clients speak them."""
