-- A workspace exists once it is named. activation is the number of the policy activation in force,
-- activating the number of one that waits for its fence (0: none). Every decision holds this row.
CREATE TABLE workspaces (
    workspace TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    activation BIGINT NOT NULL,
    activating BIGINT NOT NULL,
    create_time BIGINT NOT NULL
);
CALL keep_apart('workspaces');

-- Who is about to hold a workspace against decisions: until then none begins, so that those under way
-- come to an end. A row that is locked in shares by one after the other would else never be had.
CREATE TABLE workspace_intents (
    workspace TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    until_time BIGINT NOT NULL
);
CALL keep_apart('workspace_intents');

-- A policy, all its revisions together; revision is the newest.
CREATE TABLE policies (
    workspace TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    preset TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, policy),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace)
);
CALL keep_apart('policies');

-- What a policy said at a revision: JSON, never changed.
CREATE TABLE policy_revisions (
    workspace TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    definition TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, policy, revision),
    FOREIGN KEY (workspace, policy) REFERENCES policies (workspace, policy)
);
CALL keep_apart('policy_revisions');

-- The times that a revision was put in force, numbered from 1 per workspace. stage_map, gain_counts
-- and loss_counts are JSON objects. A number is never given twice, also where it was cancelled.
-- fenced: every holder of grants has to know of it before it comes into force.
CREATE TABLE policy_activations (
    workspace TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    previous_policy TEXT COLLATE "C" NOT NULL,
    previous_revision BIGINT NOT NULL,
    previous_number BIGINT NOT NULL,
    stage_map TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('ACTIVATING', 'MAPPING', 'COMPLETE', 'CANCELLED')),
    position_count BIGINT NOT NULL,
    move_count BIGINT NOT NULL,
    stay_count BIGINT NOT NULL,
    gain_counts TEXT COLLATE "C" NOT NULL,
    loss_counts TEXT COLLATE "C" NOT NULL,
    mapped_count BIGINT NOT NULL,
    fenced BOOLEAN NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    active_time BIGINT,
    end_time BIGINT,
    PRIMARY KEY (workspace, number),
    FOREIGN KEY (workspace, policy, revision)
        REFERENCES policy_revisions (workspace, policy, revision)
);
CALL keep_apart('policy_activations');
CREATE INDEX policy_activations_unfinished ON policy_activations (state, workspace, number)
    WHERE state IN ('ACTIVATING', 'MAPPING');

-- What a holder of grants must acknowledge before an activation comes into force.
CREATE TABLE fences (
    workspace TEXT COLLATE "C" NOT NULL,
    activation BIGINT NOT NULL,
    holder TEXT COLLATE "C" NOT NULL,
    acknowledge_time BIGINT,
    PRIMARY KEY (workspace, activation, holder),
    FOREIGN KEY (workspace, activation) REFERENCES policy_activations (workspace, number)
);
CALL keep_apart('fences');
CREATE INDEX fences_waiting ON fences (holder, workspace, activation)
    WHERE acknowledge_time IS NULL;

-- What was written stays as it was written.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;
CREATE TRIGGER policy_revisions_update BEFORE UPDATE ON policy_revisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a policy revision never changes');
CREATE TRIGGER policy_revisions_delete BEFORE DELETE ON policy_revisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a policy revision never changes');
CREATE TRIGGER policy_revisions_truncate BEFORE TRUNCATE ON policy_revisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a policy revision never changes');
