-- name: newest
-- In the order in which they were written, or nearly so.
SELECT partition, position, version, epoch, command_id, ordinal, stream, type, command::text, data::text, metadata::text
FROM events ORDER BY recorded_at DESC, partition, position LIMIT $1;

-- name: insert
INSERT INTO events (partition, position, version, epoch, command_id, ordinal, stream, type, command, data, metadata)
SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::uuid[], $6::integer[], $7::text[],
                     $8::text[], $9::json[], $10::json[], $11::json[]);
