-- name: found
INSERT INTO store (store_id, secret, partitions) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: found_partitions
INSERT INTO partitions (partition) SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING;

-- name: store
SELECT store_id, secret, partitions FROM store;

-- name: server_settings
SELECT current_setting('server_version_num')::integer AS version,
       current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit;
