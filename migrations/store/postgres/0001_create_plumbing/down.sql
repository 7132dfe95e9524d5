DROP TABLE cursors;
DROP TABLE leases;
DROP TABLE idempotency_keys;
DROP TABLE change_log_consumers;
DROP TABLE change_log;
DROP TABLE database_state;
DROP PROCEDURE renew_statistics(regclass);
DROP PROCEDURE keep_apart(regclass);
