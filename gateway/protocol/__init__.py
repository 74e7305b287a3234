"""The protocols that clients speak: GraphQL over HTTP and WebSocket, sign-in with OpenID Connect, downloads, pages."""
