-- The log. The truth about its tables; migrations/ leads here, and a test proves it.
-- data, metadata and command are json and not jsonb: a replayed receipt must be the original one to the letter.
-- The command stands with the first of its events only: it tells a retry from another command under the same id,
-- and lets anybody decide again what was decided.
-- generation, service and since are of the newest service that was begun on the log.

CREATE TABLE store (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    store_id uuid NOT NULL,
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    partitions integer NOT NULL CHECK (partitions > 0),
    generation bigint NOT NULL DEFAULT 0,
    service text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE partitions (
    partition integer PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    silo text NOT NULL DEFAULT '',
    since timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

CREATE TABLE events (
    partition integer NOT NULL,
    position bigint NOT NULL,
    version bigint NOT NULL,
    epoch bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    command_id uuid NOT NULL,
    ordinal integer NOT NULL,
    stream text NOT NULL,
    type text NOT NULL,
    command json,
    data json NOT NULL,
    metadata json NOT NULL,
    CONSTRAINT events_by_position PRIMARY KEY (partition, position),
    CONSTRAINT events_by_version UNIQUE (stream, version),
    CONSTRAINT events_by_command UNIQUE (command_id, ordinal)
);

-- The latest known state of a stream; a cache. In the database of the log, so that a backup of it never has a state
-- without its events. json, because it keeps the order of keys. Written in place, hence room on each page.
CREATE TABLE snapshots (
    stream text PRIMARY KEY,
    version bigint NOT NULL,
    schema text NOT NULL,
    state json NOT NULL,
    command_ids uuid[] NOT NULL
) WITH (fillfactor = 80);
