"""Makes models by OpenAlchemy: reads a specification a line, and writes what SQLAlchemy knows of its models, or the error."""

import json
import sys
from pathlib import Path

import open_alchemy  # type: ignore[import-not-found]
from open_alchemy import models
from sqlalchemy import orm

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from reflected import reflected  # type: ignore[import-not-found]


def made(specification: dict) -> dict:  # type: ignore[type-arg]
    for name in [name for name, one in vars(models).items() if isinstance(one, type)]:
        delattr(models, name)
    base = orm.declarative_base()
    try:
        open_alchemy.init_model_factory(spec=specification, base=base)
        schemas = json.dumps(specification["components"]["schemas"])  # which it has completed
        return {**reflected(base.metadata, base.registry), "count": schemas.count('"x-tablename":')}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        base.registry.dispose()


for line in sys.stdin:
    sys.stdout.write(json.dumps(made(json.loads(line))) + "\n")
