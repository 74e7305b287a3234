"""What the types of the schema are made with: declared fields, lists, nodes, inputs; and what an operation selects of them."""
