-- name: lock_projection
-- One process at a time makes, swaps or drops versions of a projection.
SELECT pg_advisory_xact_lock(hashtext('rayleans projection'), hashtext($1));

-- name: versions
SELECT version, fingerprint, log, served, building, accepted, paused FROM projections WHERE name = $1 ORDER BY version;

-- name: stay
-- A snapshot that is only read holds nobody up, so this transaction may wait for the log as long as it takes.
SET LOCAL idle_in_transaction_session_timeout TO 0;

-- name: add_version
-- A new version of a paused projection is paused too.
INSERT INTO projections (name, version, fingerprint, log, paused)
SELECT $1, $2, $3, $4, EXISTS (SELECT FROM projections WHERE name = $1 AND paused);

-- name: add_checkpoints
INSERT INTO checkpoints (name, version, partition) SELECT $1, $2, generate_series(0, $3 - 1);

-- name: build
-- Makes a version the one that is to be served; with $3 also when its rows differ from the served ones.
UPDATE projections SET building = true, accepted = $3 WHERE name = $1 AND version = $2;

-- name: keep
-- The version that is served now is served no more, but kept.
UPDATE projections SET served = false WHERE name = $1 AND served;

-- name: serve
UPDATE projections SET served = true, building = false WHERE name = $1 AND version = $2;

-- name: drop_version
DELETE FROM projections WHERE name = $1 AND version = $2;

-- name: pause
UPDATE projections SET paused = $2 WHERE name = $1;

-- name: hold
-- Until the end of the transaction nobody moves this version on.
SELECT partition, position FROM checkpoints WHERE name = $1 AND version = $2 ORDER BY partition FOR UPDATE;

-- name: set_aside_keys
-- Rows of which two versions may differ, because events of them are set aside in one of them.
SELECT key FROM parked WHERE name = $1 AND version = ANY($2::integer[]);

-- name: partitions
SELECT count(*) FROM checkpoints WHERE name = $1 AND version = $2;

-- name: tell
-- Runners look what they have to do, readers what there is to see.
SELECT pg_notify('rayleans_projections', $1), pg_notify('rayleans_views', $1);

-- name: states
-- The versions of a projection with their checkpoints, what is set aside of them, and where they stand.
SELECT version, served, building, paused,
       (SELECT jsonb_object_agg(partition::text, position) FROM checkpoints AS c
        WHERE c.name = p.name AND c.version = p.version) AS checkpoint,
       (SELECT count(*) FROM parked
        WHERE parked.name = p.name AND parked.version = p.version AND state = 'parked') AS parked,
       (SELECT jsonb_build_object('parked_id', id, 'stream', stream, 'version', stream_version, 'partition', partition,
                                  'position', position, 'type', type)
        FROM parked WHERE parked.name = p.name AND parked.version = p.version AND state = 'stopped'
        ORDER BY id LIMIT 1) AS stopped_at
FROM projections AS p WHERE name = $1 ORDER BY version;
