"""Write the model of an editor's project as FLUKA's native input."""
