"""OpenAPI specifications as tables: what their schemas say of models, columns and relations, and what is wrong in them.

The words are OpenAlchemy's: `x-tablename` makes a schema a model, `x-inherits` lets it extend another one, and a
property that refers to a model is a relation. https://openapi-sqlalchemy.readthedocs.io
"""
