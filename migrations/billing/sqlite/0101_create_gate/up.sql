-- One row: who this holder of grants is, and the lives of its own and of pipeline's database when it
-- last attached. In another life of either, no grant is used before it has attached anew. Whoever uses
-- a grant locks this row in shares, so that no epoch rises under it.
CREATE TABLE gate (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    holder_epoch INTEGER NOT NULL,
    pipeline_epoch INTEGER NOT NULL,
    attach_time INTEGER NOT NULL
) STRICT;

-- Per workspace: no grant of an older policy activation is used. A fence that was raised in an earlier
-- life of pipeline's database counts as 0, since activations are counted anew.
CREATE TABLE fences (
    workspace TEXT NOT NULL PRIMARY KEY,
    min_policy_activation INTEGER NOT NULL,
    pipeline_epoch INTEGER NOT NULL
) STRICT;

-- Per contact: what may be done without asking pipeline, in these lives of billing's and of pipeline's
-- database and in no other. No grant up to the tombstone is installed.
CREATE TABLE grants (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    entitlements TEXT NOT NULL,
    grant_revision INTEGER NOT NULL,
    policy_activation INTEGER NOT NULL,
    policy_revision TEXT NOT NULL,
    holder_epoch INTEGER NOT NULL,
    pipeline_epoch INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    tombstone INTEGER NOT NULL,
    stage TEXT NOT NULL,
    role TEXT NOT NULL,
    update_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;

-- Who a contact is, for the buyer of a document, as pipeline told it when asked at told_time. Apart from
-- the grant, which is locked while it is used: whoever a contact is may be told anew at any time. Gone
-- when nothing of the grant remains.
CREATE TABLE subjects (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    party TEXT NOT NULL,
    told_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;

-- Who is about to take something away from a contact, from a workspace (contact '') or from all (both
-- ''). No use of a grant begins where such a row stands, so that those under way come to an end: a
-- row that is locked in shares by one caller after the other would else never be had for a change. One
-- that was announced longer ago than taking away lasts is of somebody who died and no longer counts.
CREATE TABLE gate_intents (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    announce_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;
