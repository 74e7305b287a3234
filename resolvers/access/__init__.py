"""Who may see which rows, and who may do what with them."""
