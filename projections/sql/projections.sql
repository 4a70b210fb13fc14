-- name: checkpoint
SELECT partition, position, epoch FROM checkpoints WHERE name = $1 AND version = $2;

-- name: served_checkpoint
SELECT partition, position FROM checkpoints JOIN projections USING (name, version) WHERE name = $1 AND served;

-- name: move_on
-- Compare and set of the checkpoint, all of it or nothing, and readers are told; no row when another copy of the
-- projection was faster, in whatever partition. The rows that go with it are written by further parts of this statement
-- (`Build`). Its transaction does not wait for the disk: a crash of the server may take back the last moments of a
-- view, rows and checkpoint together, so that they are folded again from the log, which is durable. Whoever has seen
-- them has a token, and waits.
WITH held AS MATERIALIZED (
    SELECT partition FROM checkpoints
    WHERE name = $1 AND version = $2 AND partition = ANY($3::integer[])
      AND position = ($4::bigint[])[array_position($3, partition)]
    FOR NO KEY UPDATE
), moved AS (
    UPDATE checkpoints
    SET position = ($5::bigint[])[array_position($3, partition)], epoch = ($6::bigint[])[array_position($3, partition)]
    WHERE name = $1 AND version = $2 AND partition = ANY($3)
      AND (SELECT count(*) FROM held) = cardinality($3)
    RETURNING partition
)/* rows */
SELECT pg_notify('rayleans_views', $1), set_config('synchronous_commit', 'off', true) FROM moved LIMIT 1;

-- name: call
-- Somebody waits for a view.
SELECT pg_notify('rayleans_readers', $1);

-- name: report
-- Does not wait for the disk either.
WITH reported AS (
    INSERT INTO runners (name, building, share, version, pid, events_per_s, lag_events, lag_seconds, error)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (name, building, share) DO UPDATE SET
        version = excluded.version, pid = excluded.pid, events_per_s = excluded.events_per_s,
        lag_events = excluded.lag_events, lag_seconds = excluded.lag_seconds, error = excluded.error,
        reported_at = excluded.reported_at
)
SELECT set_config('synchronous_commit', 'off', true);

-- name: dismiss
-- Runners of shares that are no more.
DELETE FROM runners WHERE name = $1 AND building = $2 AND share >= $3;

-- name: reports
SELECT building, share, version, pid, events_per_s, lag_events, lag_seconds, error,
       extract(epoch FROM clock_timestamp() - reported_at)::double precision AS age_s
FROM runners WHERE name = $1 ORDER BY building, share;
