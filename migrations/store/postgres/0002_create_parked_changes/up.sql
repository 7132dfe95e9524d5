-- Changes that the relay could not publish, and what waits behind them: the log goes on without them.
-- contact is empty where a change is about none. attempts 0: it only waits.
CREATE TABLE parked_changes (
    epoch BIGINT NOT NULL,
    tx BIGINT NOT NULL,
    id BIGINT NOT NULL,
    workspace TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    paths TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    record_time BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    park_time BIGINT NOT NULL,
    retry_time BIGINT NOT NULL,
    PRIMARY KEY (epoch, tx, id)
);
CALL keep_apart('parked_changes');
CREATE INDEX parked_changes_resource ON parked_changes (resource, epoch, tx, id);
CREATE INDEX parked_changes_contact ON parked_changes (contact, epoch, tx, id);
CREATE INDEX parked_changes_retry_time ON parked_changes (retry_time);
