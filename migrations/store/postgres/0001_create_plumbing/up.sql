-- The second wall between workspaces: of a table that is kept apart a session sees and writes the rows
-- of the workspace it says it acts for, in the setting clientele.workspace; where it says nothing, none;
-- where it says *, all. Every table with a column `workspace` is kept apart, and that holds for its
-- owner as well. A CASE, since the planner takes half of the rows to be seen by one; of an OR of
-- comparisons it takes a few in a thousand, and would sort a table rather than read a page from its index.
CREATE PROCEDURE keep_apart(kept regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', kept);
    EXECUTE format(
        'CREATE POLICY own_workspace ON %s USING ('
        'CASE current_setting(''clientele.workspace'', true) WHEN ''*'' THEN true '
        'ELSE workspace = current_setting(''clientele.workspace'', true) END)', kept);
END
$$;

-- Statistics are renewed by the owner only. A service, which is best not the owner, does it with this.
CREATE PROCEDURE renew_statistics(young regclass)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    EXECUTE format('ANALYZE %s', young);
END
$$;
REVOKE EXECUTE ON PROCEDURE renew_statistics(regclass) FROM PUBLIC;

-- The server's clock in microseconds since 1970: all processes of a service share it.
CREATE FUNCTION clock_micros() RETURNS BIGINT LANGUAGE sql VOLATILE
    RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- One row: which life of the database this is, and how far its log was pruned.
CREATE TABLE database_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL,
    system_id TEXT COLLATE "C" NOT NULL,
    timeline BIGINT NOT NULL,
    restores BIGINT NOT NULL,
    pruned_epoch BIGINT NOT NULL,
    pruned_tx BIGINT NOT NULL,
    pruned_id BIGINT NOT NULL
);

-- What happened, in order of (epoch, tx, id), tx being the number of the transaction. Ids alone
-- would lose rows, since transactions commit out of their order. Outbox and watch streams.
CREATE TABLE change_log (
    epoch BIGINT NOT NULL,
    tx BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    id BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    workspace TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    resource TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    payload BYTEA NOT NULL,
    paths TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    record_time BIGINT NOT NULL,
    PRIMARY KEY (epoch, tx, id)
);
CALL keep_apart('change_log');
CREATE INDEX change_log_workspace ON change_log (workspace, epoch, tx, id);

-- Internal readers of the log: nothing above the lowest of their positions is pruned.
CREATE TABLE change_log_consumers (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    tx BIGINT NOT NULL,
    id BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);

-- Requests that succeeded: a repetition is answered from here. expire_time NULL: kept for ever.
CREATE TABLE idempotency_keys (
    workspace TEXT COLLATE "C" NOT NULL,
    principal TEXT COLLATE "C" NOT NULL,
    method TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA NOT NULL,
    resource TEXT COLLATE "C",
    revision BIGINT,
    response BYTEA,
    create_time BIGINT NOT NULL,
    expire_time BIGINT,
    PRIMARY KEY (workspace, principal, method, request_id)
);
CALL keep_apart('idempotency_keys');
CREATE INDEX idempotency_keys_expire_time ON idempotency_keys (expire_time)
    WHERE expire_time IS NOT NULL;

-- Who may run a background task, until when; fencing grows with every new holder.
CREATE TABLE leases (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    fencing BIGINT NOT NULL,
    expire_time BIGINT NOT NULL
);

-- How far each background task came, advanced in the transaction of its effect.
CREATE TABLE cursors (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position TEXT COLLATE "C" NOT NULL,
    update_time BIGINT NOT NULL
);
