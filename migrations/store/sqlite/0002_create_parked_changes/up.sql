-- Changes that the relay could not publish, and what waits behind them: the log goes on without them.
-- contact is empty where a change is about none. attempts 0: it only waits.
CREATE TABLE parked_changes (
    epoch INTEGER NOT NULL,
    tx INTEGER NOT NULL,
    id INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    contact TEXT NOT NULL,
    revision INTEGER NOT NULL,
    payload BLOB NOT NULL,
    paths TEXT NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    record_time INTEGER NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    park_time INTEGER NOT NULL,
    retry_time INTEGER NOT NULL,
    PRIMARY KEY (epoch, tx, id)
) STRICT;
CREATE INDEX parked_changes_resource ON parked_changes (resource, epoch, tx, id);
CREATE INDEX parked_changes_contact ON parked_changes (contact, epoch, tx, id);
CREATE INDEX parked_changes_retry_time ON parked_changes (retry_time);
