-- display_key is the display name in lower case: names are sorted and searched by it.
CREATE TABLE projects (
    workspace TEXT COLLATE "C" NOT NULL,
    project TEXT COLLATE "C" NOT NULL,
    display_name TEXT COLLATE "C" NOT NULL,
    display_key TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('ACTIVE', 'CLOSED')),
    description TEXT COLLATE "C" NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    updater TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, project)
);
CALL keep_apart('projects');
CREATE INDEX projects_create_time ON projects (workspace, create_time, project);
CREATE INDEX projects_display_key ON projects (workspace, display_key, project);

-- Who was ever assigned. end_time is set when an assignment ended: the row stays, since whether a
-- contact was ever assigned decides what may be undone.
CREATE TABLE assignments (
    workspace TEXT COLLATE "C" NOT NULL,
    project TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    role_in_project TEXT COLLATE "C" NOT NULL,
    grant_revision BIGINT NOT NULL,
    policy_revision TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    end_time BIGINT,
    PRIMARY KEY (workspace, project, contact),
    FOREIGN KEY (workspace, project) REFERENCES projects (workspace, project)
);
CALL keep_apart('assignments');
CREATE INDEX assignments_contact ON assignments (workspace, contact, project);
CREATE INDEX assignments_create_time ON assignments (workspace, create_time, project, contact);
