"""Brings a database to the schema of this release: forward only, one at a time, all or nothing."""

from __future__ import annotations

import asyncpg

from actors.store.sql_files import load_migrations, load_queries

_SQL = load_queries("actors.store", "migrate.sql")


async def migrate(connection: asyncpg.Connection, package: str) -> None:
    """Apply the migrations of `package` that the database does not have yet.

    Several processes may do this at the same time; the first does the work.
    """
    async with connection.transaction():
        await connection.execute(_SQL["lock_migrations"], package)
        await connection.execute(_SQL["create_migrations"])
        applied = {row["name"] for row in await connection.fetch(_SQL["applied_migrations"])}
        for name, script in load_migrations(package).items():
            if name not in applied:
                await connection.execute(script)
                await connection.execute(_SQL["record_migration"], name)
