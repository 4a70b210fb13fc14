-- name: lock_projection
-- One process at a time makes, swaps or drops versions of a projection.
SELECT pg_advisory_xact_lock(hashtext('rayleans projection'), hashtext($1));

-- name: versions
SELECT version, fingerprint, served, log FROM projections WHERE name = $1 ORDER BY version;

-- name: add_version
INSERT INTO projections (name, version, fingerprint, log) VALUES ($1, $2, $3, $4);

-- name: add_checkpoints
INSERT INTO checkpoints (name, version, partition) SELECT $1, $2, generate_series(0, $3 - 1);

-- name: serve
UPDATE projections SET served = (version = $2) WHERE name = $1 AND served <> (version = $2);

-- name: drop_version
DELETE FROM projections WHERE name = $1 AND version = $2;

-- name: checkpoint
SELECT partition, position, epoch FROM checkpoints WHERE name = $1 AND version = $2;

-- name: served_checkpoint
SELECT partition, position FROM checkpoints JOIN projections USING (name, version) WHERE name = $1 AND served;

-- name: move_checkpoint
-- Compare and set: counts fewer rows than asked when another copy of the projection was faster, in whatever partition.
UPDATE checkpoints SET position = moved.after, epoch = moved.epoch
FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::bigint[]) AS moved (partition, before, after, epoch)
WHERE name = $1 AND version = $2 AND checkpoints.partition = moved.partition AND position = moved.before;

-- name: tell_readers
SELECT pg_notify('rayleans_views', $1);

-- name: note_error
UPDATE projections SET error = $3 WHERE name = $1 AND version = $2 AND error IS DISTINCT FROM $3;
