CREATE TABLE notes (
    workspace TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, title)
);
CREATE TABLE remarks (
    workspace TEXT NOT NULL,
    id TEXT NOT NULL,
    note TEXT,
    PRIMARY KEY (workspace, id),
    FOREIGN KEY (workspace, note) REFERENCES notes (workspace, id)
);
