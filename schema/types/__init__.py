"""The types of the schema by area, with each area's root fields."""
