"""The machinery of the schema: declarations of fields, connections, inputs and mutations, and plans made from
documents."""
