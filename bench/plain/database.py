"""The connections to the database, by the ORM."""

import os

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(
    sa.make_url(os.environ["BENCH_DATABASE_URL"]).set(drivername="postgresql+asyncpg"), pool_size=10, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
