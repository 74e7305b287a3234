"""Write the model of an editor's project as SHIELD-HIT12A's native files."""
