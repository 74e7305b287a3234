"""Lists of rows: how they are filtered, ordered, counted and grouped, made from the declarations of the types."""
