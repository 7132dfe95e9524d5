-- Databases that hold grants. epoch is the holder's own, attached_epoch that of this database when
-- the holder last attached: until it has, in the present epoch, nothing is taken away from anybody.
-- One that was forgotten (forget_time) is waited for no more, and attaches only in a later epoch.
CREATE TABLE holders (
    holder TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    attached_epoch INTEGER NOT NULL,
    attach_time INTEGER NOT NULL,
    forget_time INTEGER
) STRICT;

-- Which holders were ever given a grant in a workspace: whom a fence is put to.
CREATE TABLE workspace_holders (
    workspace TEXT NOT NULL,
    holder TEXT NOT NULL,
    PRIMARY KEY (workspace, holder),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace),
    FOREIGN KEY (holder) REFERENCES holders (holder)
) STRICT;

-- Who holds a grant on a contact, and the last recall that they acknowledged.
CREATE TABLE grant_holders (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    holder TEXT NOT NULL,
    holder_epoch INTEGER NOT NULL,
    acknowledged_revision INTEGER NOT NULL,
    documents_exist INTEGER NOT NULL,
    acquire_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact, holder),
    FOREIGN KEY (workspace, contact) REFERENCES positions (workspace, contact),
    FOREIGN KEY (holder) REFERENCES holders (holder)
) STRICT;

-- Moves that wait until every holder has narrowed its grant: decided already, and written by the
-- second transaction as they stand here. moves, facts and remaining are JSON; to_stage is empty for
-- a removal. Moves of one batch complete together.
CREATE TABLE pending_transitions (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    batch TEXT NOT NULL,
    decision TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    to_role TEXT NOT NULL,
    moves TEXT NOT NULL,
    facts TEXT NOT NULL,
    remaining TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_revision INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    recall_revision INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    actor TEXT NOT NULL,
    request_id TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace, contact) REFERENCES positions (workspace, contact)
) STRICT;
CREATE INDEX pending_transitions_batch ON pending_transitions (workspace, batch, contact);
