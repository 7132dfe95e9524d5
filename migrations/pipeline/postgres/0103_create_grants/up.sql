-- Databases that hold grants. epoch is the holder's own, attached_epoch that of this database when
-- the holder last attached: until it has, in the present epoch, nothing is taken away from anybody.
-- One that was forgotten (forget_time) is waited for no more, and attaches only in a later epoch.
CREATE TABLE holders (
    holder TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    attached_epoch BIGINT NOT NULL,
    attach_time BIGINT NOT NULL,
    forget_time BIGINT
);

-- Which holders were ever given a grant in a workspace: whom a fence is put to.
CREATE TABLE workspace_holders (
    workspace TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, holder),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace),
    FOREIGN KEY (holder) REFERENCES holders (holder)
);
CALL keep_apart('workspace_holders');

-- Who holds a grant on a contact, and the last recall that they acknowledged.
CREATE TABLE grant_holders (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    holder_epoch BIGINT NOT NULL,
    acknowledged_revision BIGINT NOT NULL,
    documents_exist BOOLEAN NOT NULL,
    acquire_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact, holder),
    FOREIGN KEY (workspace, contact) REFERENCES positions (workspace, contact),
    FOREIGN KEY (holder) REFERENCES holders (holder)
);
CALL keep_apart('grant_holders');

-- Moves that wait until every holder has narrowed its grant: decided already, and written by the
-- second transaction as they stand here. moves, facts and remaining are JSON; to_stage is empty for
-- a removal. Moves of one batch complete together.
CREATE TABLE pending_transitions (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    batch TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C" NOT NULL,
    to_stage TEXT COLLATE "C" NOT NULL,
    to_role TEXT COLLATE "C" NOT NULL,
    moves TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    remaining TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    policy_revision BIGINT NOT NULL,
    activation BIGINT NOT NULL,
    recall_revision BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace, contact) REFERENCES positions (workspace, contact)
);
CALL keep_apart('pending_transitions');
CREATE INDEX pending_transitions_batch ON pending_transitions (workspace, batch, contact);
