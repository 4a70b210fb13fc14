-- name: has_log
SELECT to_regclass('store') IS NOT NULL;

-- name: epochs
SELECT partition, epoch FROM partitions;

-- name: length
SELECT count(*) FROM events;

-- name: by_position
SELECT partition, position, stream, version, type, data, metadata, command_id, ordinal, command, epoch, recorded_at
FROM events ORDER BY partition, position;

-- name: by_stream
SELECT partition, position, stream, version, type, data, metadata, command_id, ordinal, command, epoch, recorded_at
FROM events ORDER BY stream, version;

-- name: by_command
-- Without the texts, so that a sort has less to carry.
SELECT partition, position, stream, version, type, '' AS data, '' AS metadata, command_id, ordinal, NULL AS command,
       epoch, recorded_at
FROM events ORDER BY command_id, ordinal;
