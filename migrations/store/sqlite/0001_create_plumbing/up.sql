-- One row: which life of the database this is, and how far its log was pruned.
CREATE TABLE database_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    system_id TEXT NOT NULL,
    timeline INTEGER NOT NULL,
    restores INTEGER NOT NULL,
    pruned_epoch INTEGER NOT NULL,
    pruned_tx INTEGER NOT NULL,
    pruned_id INTEGER NOT NULL
) STRICT;

-- What happened, in order of id; tx is shared by the rows of one write. Outbox and watch streams.
CREATE TABLE change_log (
    epoch INTEGER NOT NULL,
    tx INTEGER NOT NULL,
    id INTEGER NOT NULL PRIMARY KEY,
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    revision INTEGER NOT NULL,
    payload BLOB NOT NULL,
    paths TEXT NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    record_time INTEGER NOT NULL
) STRICT;
CREATE INDEX change_log_workspace ON change_log (workspace, id);

-- Internal readers of the log: nothing above the lowest of their positions is pruned.
CREATE TABLE change_log_consumers (
    name TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    tx INTEGER NOT NULL,
    id INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;

-- Requests that succeeded: a repetition is answered from here. expire_time NULL: kept for ever.
CREATE TABLE idempotency_keys (
    workspace TEXT NOT NULL,
    principal TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    resource TEXT,
    revision INTEGER,
    response BLOB,
    create_time INTEGER NOT NULL,
    expire_time INTEGER,
    PRIMARY KEY (workspace, principal, method, request_id)
) STRICT;
CREATE INDEX idempotency_keys_expire_time ON idempotency_keys (expire_time)
    WHERE expire_time IS NOT NULL;

-- Who may run a background task, until when; fencing grows with every new holder.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fencing INTEGER NOT NULL,
    expire_time INTEGER NOT NULL
) STRICT;

-- How far each background task came, advanced in the transaction of its effect.
CREATE TABLE cursors (
    name TEXT NOT NULL PRIMARY KEY,
    position TEXT NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
