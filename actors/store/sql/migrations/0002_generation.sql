ALTER TABLE store
    ADD COLUMN generation bigint NOT NULL DEFAULT 0,
    ADD COLUMN service text NOT NULL DEFAULT '',
    ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp();
