-- A workspace exists once it is named. activation is the number of the policy activation in force,
-- activating the number of one that waits for its fence (0: none). Every decision holds this row.
CREATE TABLE workspaces (
    workspace TEXT NOT NULL PRIMARY KEY,
    activation INTEGER NOT NULL,
    activating INTEGER NOT NULL,
    create_time INTEGER NOT NULL
) STRICT;

-- Who is about to hold a workspace against decisions: until then none begins, so that those under way
-- come to an end. A row that is locked in shares by one after the other would else never be had.
CREATE TABLE workspace_intents (
    workspace TEXT NOT NULL PRIMARY KEY,
    until_time INTEGER NOT NULL
) STRICT;

-- A policy, all its revisions together; revision is the newest.
CREATE TABLE policies (
    workspace TEXT NOT NULL,
    policy TEXT NOT NULL,
    preset TEXT NOT NULL,
    revision INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, policy),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace)
) STRICT;

-- What a policy said at a revision: JSON, never changed.
CREATE TABLE policy_revisions (
    workspace TEXT NOT NULL,
    policy TEXT NOT NULL,
    revision INTEGER NOT NULL,
    definition TEXT NOT NULL,
    creator TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, policy, revision),
    FOREIGN KEY (workspace, policy) REFERENCES policies (workspace, policy)
) STRICT;

-- The times that a revision was put in force, numbered from 1 per workspace. stage_map, gain_counts
-- and loss_counts are JSON objects. A number is never given twice, also where it was cancelled.
-- fenced: every holder of grants has to know of it before it comes into force.
CREATE TABLE policy_activations (
    workspace TEXT NOT NULL,
    number INTEGER NOT NULL,
    policy TEXT NOT NULL,
    revision INTEGER NOT NULL,
    previous_policy TEXT NOT NULL,
    previous_revision INTEGER NOT NULL,
    previous_number INTEGER NOT NULL,
    stage_map TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVATING', 'MAPPING', 'COMPLETE', 'CANCELLED')),
    position_count INTEGER NOT NULL,
    move_count INTEGER NOT NULL,
    stay_count INTEGER NOT NULL,
    gain_counts TEXT NOT NULL,
    loss_counts TEXT NOT NULL,
    mapped_count INTEGER NOT NULL,
    fenced INTEGER NOT NULL,
    actor TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    active_time INTEGER,
    end_time INTEGER,
    PRIMARY KEY (workspace, number),
    FOREIGN KEY (workspace, policy, revision)
        REFERENCES policy_revisions (workspace, policy, revision)
) STRICT;
CREATE INDEX policy_activations_unfinished ON policy_activations (state, workspace, number)
    WHERE state IN ('ACTIVATING', 'MAPPING');

-- What a holder of grants must acknowledge before an activation comes into force.
CREATE TABLE fences (
    workspace TEXT NOT NULL,
    activation INTEGER NOT NULL,
    holder TEXT NOT NULL,
    acknowledge_time INTEGER,
    PRIMARY KEY (workspace, activation, holder),
    FOREIGN KEY (workspace, activation) REFERENCES policy_activations (workspace, number)
) STRICT;
CREATE INDEX fences_waiting ON fences (holder, workspace, activation)
    WHERE acknowledge_time IS NULL;

-- What was written stays as it was written.
CREATE TRIGGER policy_revisions_update BEFORE UPDATE ON policy_revisions
BEGIN
    SELECT RAISE(ABORT, 'a policy revision never changes');
END;
CREATE TRIGGER policy_revisions_delete BEFORE DELETE ON policy_revisions
BEGIN
    SELECT RAISE(ABORT, 'a policy revision never changes');
END;
-- REPLACE deletes without running the trigger above unless recursive triggers are on.
CREATE TRIGGER policy_revisions_replace BEFORE INSERT ON policy_revisions
WHEN EXISTS (
    SELECT 1 FROM policy_revisions
    WHERE workspace = NEW.workspace AND policy = NEW.policy AND revision = NEW.revision
)
BEGIN
    SELECT RAISE(ABORT, 'a policy revision never changes');
END;
