"""Projects of YAPTIDE's editor: read into a model, and written as native input of SHIELD-HIT12A or FLUKA."""
