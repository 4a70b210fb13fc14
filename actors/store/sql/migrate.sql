-- name: lock_migrations
-- One migration at a time; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext($1));

-- name: create_migrations
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- name: applied_migrations
SELECT name FROM migrations ORDER BY name;

-- name: record_migration
INSERT INTO migrations (name) VALUES ($1);
