"""The same selections served plainly: Strawberry's types and DataLoaders over SQLAlchemy's ORM, as their documentation
shows. No sign-in, no visibility, no limits, no caches beyond the defaults.
"""
