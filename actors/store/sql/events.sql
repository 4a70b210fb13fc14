-- name: append
-- All events or none: unless every partition of the session is still at its epoch, nothing is selected to insert.
-- Texts come joined, because the driver takes four times as long for an array of them.
-- FOR SHARE makes a takeover wait for this statement, and this statement wait for a takeover and then see it.
WITH owned AS MATERIALIZED (
    SELECT partitions.partition, partitions.epoch
    FROM partitions JOIN unnest($1::integer[], $2::bigint[]) AS held (partition, epoch)
      ON partitions.partition = held.partition AND partitions.epoch = held.epoch
    FOR SHARE OF partitions
)
INSERT INTO events (partition, position, version, epoch, command_id, ordinal, stream, type, command, data, metadata)
SELECT new.partition, new.position, new.version, owned.epoch, new.command_id, new.ordinal, new.stream, new.type,
       new.command, new.data, new.metadata
FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::uuid[], $7::integer[],
            string_to_array($8, E'\x1e'), string_to_array($9, E'\x1e'), string_to_array($10, E'\x1e', '')::json[],
            string_to_array($11, E'\x1e')::json[], string_to_array($12, E'\x1e')::json[])
     AS new (partition, position, version, command_id, ordinal, stream, type, command, data, metadata)
     JOIN owned ON owned.partition = new.partition
WHERE (SELECT count(*) FROM owned) = cardinality($1::integer[]);

-- name: prove
-- How many partitions are still at the epoch of the session.
SELECT count(*)
FROM partitions JOIN unnest($1::integer[], $2::bigint[]) AS held (partition, epoch)
  ON partitions.partition = held.partition AND partitions.epoch = held.epoch;

-- name: prove_and_find
-- The events of some commands, each row with the number of partitions still at the epoch of the session.
WITH owned AS MATERIALIZED (
    SELECT count(*) AS partitions
    FROM partitions JOIN unnest($1::integer[], $2::bigint[]) AS held (partition, epoch)
      ON partitions.partition = held.partition AND partitions.epoch = held.epoch
)
SELECT owned.partitions AS owned, events.partition, position, stream, version, type, data, metadata, command_id,
       ordinal, command, epoch, recorded_at
FROM owned LEFT JOIN events ON command_id = ANY($3::uuid[])
ORDER BY command_id, ordinal;

-- name: marks
SELECT events.partition, events.position, events.epoch
FROM unnest($1::integer[], $2::bigint[]) AS wanted (partition, position) JOIN events USING (partition, position);

-- name: read_stream
SELECT partition, position, stream, version, type, data, metadata, command_id, ordinal, command, epoch, recorded_at
FROM events WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3;

-- name: read_command
SELECT partition, position, stream, version, type, data, metadata, command_id, ordinal, command, epoch, recorded_at
FROM events WHERE command_id = $1 ORDER BY ordinal;

-- name: read_partitions
-- The primary key hands out each partition in its order, and the loop over the partitions keeps theirs.
SELECT next.partition, position, stream, version, type, data, metadata, command_id, ordinal, command, epoch, recorded_at
FROM unnest($1::integer[], $2::bigint[]) AS wanted (partition, after)
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE events.partition = wanted.partition AND events.position > wanted.after
    ORDER BY events.position LIMIT $3
) AS next
ORDER BY next.partition, position;

-- name: follow
-- For each asked piece of a partition where it ends, how many events it has, and arrays of those that are wanted: they
-- cost half of what rows cost, and an event that is not wanted costs next to nothing.
SELECT asked.partition, piece.*
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::integer[]) AS asked (partition, after, upto, size)
CROSS JOIN LATERAL (
    SELECT max(position) AS "end", max(epoch) AS epoch, count(*) AS length,
           array_agg(position) FILTER (WHERE wanted), array_agg(stream) FILTER (WHERE wanted),
           array_agg(version) FILTER (WHERE wanted), array_agg(type) FILTER (WHERE wanted),
           array_agg(data::text) FILTER (WHERE wanted), array_agg(epoch) FILTER (WHERE wanted),
           array_agg(recorded_at) FILTER (WHERE wanted)
    FROM (
        SELECT position, stream, version, type, data, epoch, recorded_at,
               split_part(stream, '-', 1) = ANY($5::text[]) AND ($6::text[] IS NULL OR type = ANY($6)) AS wanted
        FROM events
        WHERE events.partition = asked.partition AND events.position > asked.after AND events.position <= asked.upto
        ORDER BY events.position LIMIT asked.size
    ) AS next
) AS piece
WHERE length > 0
ORDER BY asked.partition, asked.after;
