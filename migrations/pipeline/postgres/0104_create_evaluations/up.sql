-- Contacts that changed and have to be looked at: opened, moved by a trigger, or removed.
-- generation rises with every change, so that none is lost while one is being looked at.
CREATE TABLE evaluations (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('evaluations');
CREATE INDEX evaluations_due_time ON evaluations (due_time, workspace, contact);

-- The primary contact of each company, in workspaces that put companies first.
CREATE TABLE companies (
    workspace TEXT COLLATE "C" NOT NULL,
    company TEXT COLLATE "C" NOT NULL,
    primary_contact TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, company)
);
CALL keep_apart('companies');
CREATE INDEX companies_primary_contact ON companies (workspace, primary_contact);

-- What decisions caused besides moves: work items, suggestions, enrolments. payload is JSON.
CREATE TABLE effects (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact, id)
);
CALL keep_apart('effects');
