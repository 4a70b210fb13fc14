-- name: begin_service
-- By the clock, in microseconds, so that a log which was restored from a backup gives none of them a second time.
UPDATE store SET generation = greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
    service = $1, since = clock_timestamp()
RETURNING generation;

-- name: newer_service
SELECT service, since FROM store WHERE generation > $1;

-- name: lock_partition
-- Session lock: it goes with the connection, and is seen in this database only.
SELECT pg_try_advisory_lock($1, $2);

-- name: lock_holder
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = $1::integer::oid AND objid = $2::integer::oid AND objsubid = 2 AND granted;

-- name: put_out
-- Ends the holder's session, with whatever it has under way, and waits up to $2 milliseconds for its end.
SELECT pg_terminate_backend($1, $2);

-- name: raise_epochs
-- Waits for an append of the former owner that is under way, so that nothing slips in behind.
UPDATE partitions SET epoch = epoch + $3, silo = $2, since = clock_timestamp()
WHERE partition = ANY($1)
RETURNING partition, epoch;

-- name: reclaim_epochs
UPDATE partitions SET epoch = partitions.epoch + $4, silo = $3, since = clock_timestamp()
FROM unnest($1::integer[], $2::bigint[]) AS held (partition, epoch)
WHERE partitions.partition = held.partition AND partitions.epoch = held.epoch
RETURNING partitions.partition, partitions.epoch;

-- name: heads
SELECT partitions.partition, coalesce(head.position, 0) AS position, coalesce(head.epoch, 0) AS epoch
FROM partitions LEFT JOIN LATERAL (
    SELECT events.position, events.epoch FROM events
    WHERE events.partition = partitions.partition ORDER BY events.position DESC LIMIT 1
) AS head ON true
ORDER BY partitions.partition;
