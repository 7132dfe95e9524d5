-- Runs of the importer. Counters are of the present run; run counts the runs from 1.
CREATE TABLE imports (
    workspace TEXT COLLATE "C" NOT NULL,
    import TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    format TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    dry_run BOOLEAN NOT NULL,
    no_header BOOLEAN NOT NULL,
    mapping TEXT COLLATE "C" NOT NULL,
    requested_stage TEXT COLLATE "C" NOT NULL,
    default_region TEXT COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    uploaded_bytes BIGINT NOT NULL,
    total_rows BIGINT NOT NULL,
    done_rows BIGINT NOT NULL,
    created_rows BIGINT NOT NULL,
    matched_rows BIGINT NOT NULL,
    refused_rows BIGINT NOT NULL,
    program TEXT COLLATE "C" NOT NULL,
    applied_mapping TEXT COLLATE "C" NOT NULL,
    unused_columns TEXT COLLATE "C" NOT NULL,
    failure TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    start_time BIGINT,
    end_time BIGINT,
    PRIMARY KEY (workspace, import)
);
CALL keep_apart('imports');
CREATE INDEX imports_create_time ON imports (workspace, create_time, import);
CREATE INDEX imports_state ON imports (state, create_time);

-- The file of an import in the pieces in which it came.
CREATE TABLE import_chunks (
    workspace TEXT COLLATE "C" NOT NULL,
    import TEXT COLLATE "C" NOT NULL,
    byte_offset BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (workspace, import, byte_offset),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
);
CALL keep_apart('import_chunks');

-- What became of each row of a run.
CREATE TABLE import_rows (
    workspace TEXT COLLATE "C" NOT NULL,
    import TEXT COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    row_number BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    problems TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, import, run, row_number),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
);
CALL keep_apart('import_rows');
CREATE INDEX import_rows_outcome ON import_rows (workspace, import, run, outcome, row_number);

-- The external ids of rows that a dry run would create, so that a later row matches them as it will
-- in the real run.
CREATE TABLE import_keys (
    workspace TEXT COLLATE "C" NOT NULL,
    import TEXT COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    system TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    row_number BIGINT NOT NULL,
    PRIMARY KEY (workspace, import, run, system, external_id),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
);
CALL keep_apart('import_keys');
