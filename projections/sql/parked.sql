-- name: aside
-- What no event may be folded of: what a front is about, which is an event that could not be folded. What only waits
-- behind one holds nothing up, because the order of events of several actors is not kept within a row.
SELECT key, stream FROM parked WHERE name = $1 AND version = $2 AND state = 'parked' AND error IS NOT NULL;

-- name: unlocated
SELECT count(*) FROM parked WHERE name = $1 AND version = $2 AND state = 'parked' AND error IS NOT NULL AND key IS NULL;

-- name: stop
-- The projection stands in front of this event. What somebody decided about it for another version, holds here too.
INSERT INTO parked
    (name, version, partition, position, epoch, key, stream, stream_version, type, data, recorded_at, error, state)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce(
    (SELECT state FROM parked
     WHERE name = $1 AND version <> $2 AND partition = $3 AND position = $4 AND state <> 'stopped' LIMIT 1), 'stopped')
ON CONFLICT (name, version, partition, position) DO UPDATE SET error = excluded.error
RETURNING state;

-- name: passed
-- Forgets where the projection stood, when it has got past that after all.
DELETE FROM parked USING unnest($3::integer[], $4::bigint[]) AS here (partition, position)
WHERE name = $1 AND version = $2 AND state = 'stopped'
  AND parked.partition = here.partition AND parked.position <= here.position;

-- name: stands
SELECT count(*) FROM parked WHERE name = $1 AND version = $2 AND state = 'stopped' AND partition = ANY($3::integer[]);

-- name: park_behind
-- Sets later events of parked ones aside, in their order; fewer than asked when there is nothing to wait behind any
-- more.
INSERT INTO parked
    (name, version, partition, position, epoch, key, stream, stream_version, type, data, recorded_at, error, state)
SELECT $1, $2, new.partition, new.position, new.epoch, new.key, new.stream, new.stream_version, new.type, new.data,
       new.recorded_at, new.error, 'parked'
FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[], $10::json[],
            $11::timestamptz[], $12::text[])
     WITH ORDINALITY
     AS new (partition, position, epoch, key, stream, stream_version, type, data, recorded_at, error, place)
WHERE EXISTS (
    SELECT FROM parked AS front
    WHERE front.name = $1 AND front.version = $2 AND front.state = 'parked' AND front.error IS NOT NULL
      AND (front.key = new.key OR front.key IS NULL AND front.stream = new.stream))
ORDER BY place;

-- name: list
-- Of the versions that are served or built; what waits behind another one comes after it.
SELECT id, parked.version, partition, position, epoch, key, stream, stream_version, type, data, recorded_at, state,
       error, since
FROM parked JOIN projections USING (name, version)
WHERE name = $1 AND (served OR building)
ORDER BY parked.version, id LIMIT $2;

-- name: find
SELECT id, version, partition, position, epoch, key, stream, stream_version, type, data, recorded_at, state, error,
       since
FROM parked WHERE name = $1 AND id = $2;

-- name: row_of
-- What is parked of the row of an event, and what an event without a known row holds up of its stream: in its order.
SELECT id, version, partition, position, epoch, key, stream, stream_version, type, data, recorded_at, state, error,
       since
FROM parked
WHERE name = $1 AND version = $2 AND state = 'parked'
  AND (key = $3 OR stream = $4 AND (key IS NULL OR error IS NULL))
ORDER BY id FOR UPDATE;

-- name: in_front
-- Why the event is not folded that another one waits behind.
SELECT error FROM parked
WHERE name = $1 AND version = $2 AND state = 'parked' AND error IS NOT NULL AND id < $5
  AND (key = $3 OR key IS NULL AND stream = $4)
ORDER BY id LIMIT 1;

-- name: set_state
UPDATE parked SET state = $2, error = $3 WHERE id = $1;

-- name: pass
-- Moves a checkpoint past the event that it stands in front of.
UPDATE checkpoints SET position = $4, epoch = $5
WHERE name = $1 AND version = $2 AND partition = $3 AND position = $4 - 1;

-- name: forget
DELETE FROM parked WHERE id = $1;

-- name: wait_for_disk
-- What somebody has decided does so, although it was written in the way of a batch.
SET LOCAL synchronous_commit TO DEFAULT;

-- name: not_folded
-- Events up to the checkpoint that are not in a version.
SELECT partition, position FROM parked WHERE name = $1 AND version = $2 AND state <> 'stopped';
