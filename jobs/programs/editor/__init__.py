"""Projects of YAPTIDE's editor, as SHIELD-HIT12A's native input."""
