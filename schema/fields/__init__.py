"""The machinery of the schema: declared fields, lists, nodes, inputs, and what an operation selects of them."""
