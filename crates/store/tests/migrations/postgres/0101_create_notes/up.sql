CREATE TABLE notes (
    workspace TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, title)
);
CALL keep_apart('notes');
CREATE TABLE remarks (
    workspace TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C",
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace, note) REFERENCES notes (workspace, id)
);
CALL keep_apart('remarks');
