-- name: read_histories
-- For each wanted stream its snapshot, as a row without a position, and the events after it in their order.
-- Two kinds of rows, so that the state travels once and not with each event. LIMIT keeps the lookups one by one.
WITH wanted AS MATERIALIZED (
    SELECT wanted.stream, coalesce(kept.version, 0) AS version, state, command_ids
    FROM unnest($1::text[], $2::text[]) AS wanted (stream, schema)
    LEFT JOIN LATERAL (
        SELECT snapshots.version, state, command_ids,
               (SELECT command_id FROM events WHERE events.stream = snapshots.stream
                                                AND events.version = snapshots.version) AS command_id
        FROM snapshots WHERE snapshots.stream = wanted.stream AND snapshots.schema = wanted.schema LIMIT 1
    ) AS kept ON kept.command_id = command_ids[cardinality(command_ids)]
)
SELECT NULL::integer AS partition, NULL::bigint AS position, stream, version, NULL::text AS type, state AS data,
       NULL::json AS metadata, NULL::uuid AS command_id, NULL::integer AS ordinal, NULL::json AS command,
       NULL::bigint AS epoch, NULL::timestamptz AS recorded_at, command_ids
FROM wanted WHERE state IS NOT NULL
UNION ALL
SELECT tail.partition, position, tail.stream, tail.version, type, data, metadata, command_id, ordinal, command, epoch,
       recorded_at, NULL
FROM wanted CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE events.stream = wanted.stream AND events.version > wanted.version
    ORDER BY events.version
) AS tail;

-- name: write_snapshots
-- In the order of the streams, so that two silos that write at the same time wait for each other and not in a ring.
-- The same version is written again, because it may be there in the schema of another release.
INSERT INTO snapshots (stream, version, schema, state, command_ids)
SELECT stream, version, schema, state, string_to_array(command_ids, ',')::uuid[]
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::json[], $5::text[])
     AS new (stream, version, schema, state, command_ids)
ORDER BY stream
ON CONFLICT (stream) DO UPDATE
SET version = excluded.version, schema = excluded.schema, state = excluded.state, command_ids = excluded.command_ids
WHERE snapshots.version <= excluded.version;
