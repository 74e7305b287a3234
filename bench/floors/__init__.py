"""The floor: what is left when nobody asks for a GraphQL server."""
