-- display_key is the display name in lower case: names are sorted and searched by it.
CREATE TABLE projects (
    workspace TEXT NOT NULL,
    project TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'CLOSED')),
    description TEXT NOT NULL,
    labels TEXT NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    updater TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, project)
) STRICT;
CREATE INDEX projects_create_time ON projects (workspace, create_time, project);
CREATE INDEX projects_display_key ON projects (workspace, display_key, project);

-- Who was ever assigned. end_time is set when an assignment ended: the row stays, since whether a
-- contact was ever assigned decides what may be undone.
CREATE TABLE assignments (
    workspace TEXT NOT NULL,
    project TEXT NOT NULL,
    contact TEXT NOT NULL,
    role_in_project TEXT NOT NULL,
    grant_revision INTEGER NOT NULL,
    policy_revision TEXT NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    end_time INTEGER,
    PRIMARY KEY (workspace, project, contact),
    FOREIGN KEY (workspace, project) REFERENCES projects (workspace, project)
) STRICT;
CREATE INDEX assignments_contact ON assignments (workspace, contact, project);
CREATE INDEX assignments_create_time ON assignments (workspace, create_time, project, contact);
