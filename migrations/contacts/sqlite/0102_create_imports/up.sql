-- Runs of the importer. Counters are of the present run; run counts the runs from 1.
CREATE TABLE imports (
    workspace TEXT NOT NULL,
    import TEXT NOT NULL,
    revision INTEGER NOT NULL,
    format TEXT NOT NULL,
    state TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    no_header INTEGER NOT NULL,
    mapping TEXT NOT NULL,
    requested_stage TEXT NOT NULL,
    default_region TEXT NOT NULL,
    run INTEGER NOT NULL,
    uploaded_bytes INTEGER NOT NULL,
    total_rows INTEGER NOT NULL,
    done_rows INTEGER NOT NULL,
    created_rows INTEGER NOT NULL,
    matched_rows INTEGER NOT NULL,
    refused_rows INTEGER NOT NULL,
    program TEXT NOT NULL,
    applied_mapping TEXT NOT NULL,
    unused_columns TEXT NOT NULL,
    failure TEXT NOT NULL,
    actor TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    start_time INTEGER,
    end_time INTEGER,
    PRIMARY KEY (workspace, import)
) STRICT;
CREATE INDEX imports_create_time ON imports (workspace, create_time, import);
CREATE INDEX imports_state ON imports (state, create_time);

-- The file of an import in the pieces in which it came.
CREATE TABLE import_chunks (
    workspace TEXT NOT NULL,
    import TEXT NOT NULL,
    byte_offset INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (workspace, import, byte_offset),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
) STRICT;

-- What became of each row of a run.
CREATE TABLE import_rows (
    workspace TEXT NOT NULL,
    import TEXT NOT NULL,
    run INTEGER NOT NULL,
    row_number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    contact TEXT NOT NULL,
    problems TEXT NOT NULL,
    display_name TEXT NOT NULL,
    PRIMARY KEY (workspace, import, run, row_number),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
) STRICT;
CREATE INDEX import_rows_outcome ON import_rows (workspace, import, run, outcome, row_number);

-- The external ids of rows that a dry run would create, so that a later row matches them as it will
-- in the real run.
CREATE TABLE import_keys (
    workspace TEXT NOT NULL,
    import TEXT NOT NULL,
    run INTEGER NOT NULL,
    system TEXT NOT NULL,
    external_id TEXT NOT NULL,
    row_number INTEGER NOT NULL,
    PRIMARY KEY (workspace, import, run, system, external_id),
    FOREIGN KEY (workspace, import) REFERENCES imports (workspace, import) ON DELETE CASCADE
) STRICT;
