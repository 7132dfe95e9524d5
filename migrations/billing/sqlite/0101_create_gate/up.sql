-- One row: who this holder of grants is, and the lives of its own and of pipeline's database when it
-- last attached. In another life of either, no grant is used before it has attached anew.
CREATE TABLE gate (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    holder_epoch INTEGER NOT NULL,
    pipeline_epoch INTEGER NOT NULL,
    attach_time INTEGER NOT NULL
) STRICT;

-- Per workspace: no grant of an older policy activation is used, nor one of other epochs than these.
CREATE TABLE fences (
    workspace TEXT NOT NULL PRIMARY KEY,
    min_policy_activation INTEGER NOT NULL,
    holder_epoch INTEGER NOT NULL,
    pipeline_epoch INTEGER NOT NULL
) STRICT;

-- Per contact: what may be done without asking pipeline. No grant up to the tombstone is installed.
CREATE TABLE grants (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    entitlements TEXT NOT NULL,
    grant_revision INTEGER NOT NULL,
    policy_activation INTEGER NOT NULL,
    policy_revision TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    tombstone INTEGER NOT NULL,
    stage TEXT NOT NULL,
    role TEXT NOT NULL,
    subject TEXT NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;

-- Who is about to take something away from a contact, from a workspace (contact '') or from all (both
-- ''). No use of a grant begins where such a row stands, so that those under way come to an end: a
-- row that is locked in shares by one caller after the other would else never be had for a change.
CREATE TABLE gate_intents (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;
