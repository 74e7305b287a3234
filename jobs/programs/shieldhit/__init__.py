"""Read SHIELD-HIT12A's native input into a plan."""
