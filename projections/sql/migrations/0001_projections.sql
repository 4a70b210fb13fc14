CREATE TABLE projections (
    name text NOT NULL,
    version integer NOT NULL,
    fingerprint text NOT NULL,
    log uuid NOT NULL,
    served boolean NOT NULL DEFAULT false,
    building boolean NOT NULL DEFAULT true,
    accepted boolean NOT NULL DEFAULT false,
    paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version),
    CHECK (NOT (served AND building))
);

CREATE UNIQUE INDEX one_version_is_served ON projections (name) WHERE served;

CREATE TABLE checkpoints (
    name text NOT NULL,
    version integer NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0, -- of the event at that position
    PRIMARY KEY (name, version, partition),
    FOREIGN KEY (name, version) REFERENCES projections ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE parked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version integer NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    epoch bigint NOT NULL,
    key text,
    stream text NOT NULL,
    stream_version bigint NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    recorded_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('stopped', 'parked', 'skipped')),
    error text,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (name, version, partition, position),
    FOREIGN KEY (name, version) REFERENCES projections ON DELETE CASCADE
);

CREATE TABLE runners (
    name text NOT NULL,
    building boolean NOT NULL,
    share integer NOT NULL,
    version integer NOT NULL,
    pid integer NOT NULL,
    events_per_s double precision NOT NULL,
    lag_events bigint NOT NULL,
    lag_seconds double precision NOT NULL,
    error text,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, building, share)
) WITH (fillfactor = 50);
