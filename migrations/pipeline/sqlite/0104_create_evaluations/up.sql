-- Contacts that changed and have to be looked at: opened, moved by a trigger, or removed.
-- generation rises with every change, so that none is lost while one is being looked at.
CREATE TABLE evaluations (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;
CREATE INDEX evaluations_due_time ON evaluations (due_time, workspace, contact);

-- The primary contact of each company, in workspaces that put companies first.
CREATE TABLE companies (
    workspace TEXT NOT NULL,
    company TEXT NOT NULL,
    primary_contact TEXT NOT NULL,
    PRIMARY KEY (workspace, company)
) STRICT;
CREATE INDEX companies_primary_contact ON companies (workspace, primary_contact);

-- What decisions caused besides moves: work items, suggestions, enrolments. payload is JSON.
CREATE TABLE effects (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact, id)
) STRICT;
