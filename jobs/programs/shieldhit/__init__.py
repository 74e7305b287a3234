"""SHIELD-HIT12A's native input, as a plan."""
