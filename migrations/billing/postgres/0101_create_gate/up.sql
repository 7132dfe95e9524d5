-- One row: who this holder of grants is, and the lives of its own and of pipeline's database when it
-- last attached. In another life of either, no grant is used before it has attached anew. Whoever uses
-- a grant locks this row in shares, so that no epoch rises under it.
CREATE TABLE gate (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    holder TEXT COLLATE "C" NOT NULL,
    holder_epoch BIGINT NOT NULL,
    pipeline_epoch BIGINT NOT NULL,
    attach_time BIGINT NOT NULL
);

-- Per workspace: no grant of an older policy activation is used. A fence that was raised in an earlier
-- life of pipeline's database counts as 0, since activations are counted anew.
CREATE TABLE fences (
    workspace TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    min_policy_activation BIGINT NOT NULL,
    pipeline_epoch BIGINT NOT NULL
);
CALL keep_apart('fences');

-- Per contact: what may be done without asking pipeline, in these lives of billing's and of pipeline's
-- database and in no other. No grant up to the tombstone is installed.
CREATE TABLE grants (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    entitlements TEXT COLLATE "C" NOT NULL,
    grant_revision BIGINT NOT NULL,
    policy_activation BIGINT NOT NULL,
    policy_revision TEXT COLLATE "C" NOT NULL,
    holder_epoch BIGINT NOT NULL,
    pipeline_epoch BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    tombstone BIGINT NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    update_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('grants');

-- Who a contact is, for the buyer of a document, as pipeline told it when asked at told_time. Apart from
-- the grant, which is locked while it is used: whoever a contact is may be told anew at any time. Gone
-- when nothing of the grant remains.
CREATE TABLE subjects (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    party TEXT COLLATE "C" NOT NULL,
    told_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('subjects');

-- Who is about to take something away from a contact, from a workspace (contact '') or from all (both
-- ''). No use of a grant begins where such a row stands, so that those under way come to an end: a
-- row that is locked in shares by one caller after the other would else never be had for a change. One
-- that was announced longer ago than taking away lasts is of somebody who died and no longer counts.
CREATE TABLE gate_intents (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    announce_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('gate_intents');
-- What is announced for all of them keeps the uses of each from beginning.
CREATE POLICY announced_to_all ON gate_intents FOR SELECT USING (workspace = '');
