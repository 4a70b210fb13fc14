CREATE TABLE projections (
    name text NOT NULL,
    version integer NOT NULL,
    fingerprint text NOT NULL,
    served boolean NOT NULL DEFAULT false,
    error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, version)
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
