-- Where contacts stand. stage and role are those of the newest transition, expressed in the policy
-- of `activation`; both empty without a position. kind is the contact's: PERSON, COMPANY or GROUP,
-- as last read. change counts every change, for etags.
-- grant_revision rises with every change of what the contact is entitled to and is never reused.
-- facts_time is the age of the contact that was last decided on: an older reading decides nothing.
-- documents_exist says whether a holder that was forgotten since had issued a document.
CREATE TABLE positions (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('OPEN', 'REVOKING', 'NONE')),
    revision INTEGER NOT NULL,
    change INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    policy TEXT NOT NULL,
    policy_revision INTEGER NOT NULL,
    enter_time INTEGER NOT NULL,
    head_hash BLOB NOT NULL,
    sealed_revision INTEGER NOT NULL,
    grant_revision INTEGER NOT NULL,
    facts_time INTEGER NOT NULL,
    refusal TEXT NOT NULL,
    documents_exist INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace),
    CHECK (state = 'REVOKING' OR (state = 'OPEN') = (stage <> ''))
) STRICT;
CREATE INDEX positions_stage ON positions (workspace, stage, contact);
CREATE INDEX positions_enter_time ON positions (workspace, enter_time, contact);
CREATE INDEX positions_activation ON positions (workspace, activation, contact);
CREATE INDEX positions_unsealed ON positions (workspace, contact) WHERE revision > sealed_revision;

-- Every move, for ever. hash covers the row, with the digest in place of the note, and
-- previous_hash, which is the hash of the contact's row before; 32 zero bytes for the first.
-- decision is the same for all rows that one decision wrote.
CREATE TABLE transitions (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    revision INTEGER NOT NULL,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    from_role TEXT NOT NULL,
    to_role TEXT NOT NULL,
    skip INTEGER NOT NULL,
    cause TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    note_digest BLOB NOT NULL,
    trigger_id TEXT NOT NULL,
    activity TEXT NOT NULL,
    decision TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_revision INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    effective_time INTEGER NOT NULL,
    record_time INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (workspace, contact, revision)
) STRICT;
CREATE INDEX transitions_record_time ON transitions (workspace, record_time, contact, revision);

-- Seals over the histories of a workspace: the heads of all histories that grew since the seal
-- before. hash covers previous_hash and the heads in the order of their contacts.
CREATE TABLE checkpoints (
    workspace TEXT NOT NULL,
    number INTEGER NOT NULL,
    heads INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    record_time INTEGER NOT NULL,
    PRIMARY KEY (workspace, number)
) STRICT;
CREATE TABLE checkpoint_heads (
    workspace TEXT NOT NULL,
    number INTEGER NOT NULL,
    contact TEXT NOT NULL,
    revision INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (workspace, number, contact),
    FOREIGN KEY (workspace, number) REFERENCES checkpoints (workspace, number)
) STRICT;
CREATE INDEX checkpoint_heads_contact ON checkpoint_heads (workspace, contact, revision);

-- What was written stays as it was written.
CREATE TRIGGER transitions_update BEFORE UPDATE ON transitions
BEGIN
    SELECT RAISE(ABORT, 'a transition never changes');
END;
CREATE TRIGGER transitions_delete BEFORE DELETE ON transitions
BEGIN
    SELECT RAISE(ABORT, 'a transition never changes');
END;
CREATE TRIGGER checkpoints_update BEFORE UPDATE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;
CREATE TRIGGER checkpoints_delete BEFORE DELETE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;
CREATE TRIGGER checkpoint_heads_update BEFORE UPDATE ON checkpoint_heads
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;
CREATE TRIGGER checkpoint_heads_delete BEFORE DELETE ON checkpoint_heads
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;
-- REPLACE deletes without running the triggers above unless recursive triggers are on.
CREATE TRIGGER transitions_replace BEFORE INSERT ON transitions
WHEN EXISTS (
    SELECT 1 FROM transitions
    WHERE workspace = NEW.workspace AND contact = NEW.contact AND revision = NEW.revision
)
BEGIN
    SELECT RAISE(ABORT, 'a transition never changes');
END;
CREATE TRIGGER checkpoints_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (
    SELECT 1 FROM checkpoints WHERE workspace = NEW.workspace AND number = NEW.number
)
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;
CREATE TRIGGER checkpoint_heads_replace BEFORE INSERT ON checkpoint_heads
WHEN EXISTS (
    SELECT 1 FROM checkpoint_heads
    WHERE workspace = NEW.workspace AND number = NEW.number AND contact = NEW.contact
)
BEGIN
    SELECT RAISE(ABORT, 'a checkpoint never changes');
END;

-- A position says what its newest transition says; nothing else can be written.
CREATE TRIGGER positions_insert_follows_history BEFORE INSERT ON positions
WHEN NEW.revision <> 0 OR NEW.stage <> '' OR NEW.role <> ''
BEGIN
    SELECT RAISE(ABORT, 'a position begins without a stage');
END;
CREATE TRIGGER positions_update_follows_history
BEFORE UPDATE ON positions
WHEN (
    NEW.stage <> OLD.stage OR NEW.role <> OLD.role OR NEW.revision <> OLD.revision
    OR NEW.head_hash <> OLD.head_hash OR NEW.workspace <> OLD.workspace
    OR NEW.contact <> OLD.contact OR NEW.enter_time <> OLD.enter_time OR NEW.policy <> OLD.policy
    OR NEW.policy_revision <> OLD.policy_revision OR NEW.activation < OLD.activation
) AND NOT EXISTS (
    SELECT 1 FROM transitions t
    WHERE t.workspace = OLD.workspace AND t.contact = OLD.contact AND t.revision = NEW.revision
      AND NEW.workspace = OLD.workspace AND NEW.contact = OLD.contact
      AND t.to_stage = NEW.stage AND t.to_role = NEW.role AND t.hash = NEW.head_hash
      AND t.effective_time = NEW.enter_time AND t.policy = NEW.policy
      AND t.policy_revision = NEW.policy_revision AND t.activation <= NEW.activation
      AND NOT EXISTS (
          SELECT 1 FROM transitions n
          WHERE n.workspace = t.workspace AND n.contact = t.contact AND n.revision = t.revision + 1
      )
)
BEGIN
    SELECT RAISE(ABORT, 'a position says what its newest transition says');
END;
CREATE TRIGGER positions_delete BEFORE DELETE ON positions
BEGIN
    SELECT RAISE(ABORT, 'a position is never deleted');
END;

-- A transition goes on where the one before ended.
CREATE TRIGGER transitions_insert_goes_on BEFORE INSERT ON transitions
WHEN NOT (
    (NEW.revision = 1 AND NEW.from_stage = '' AND NEW.from_role = ''
        AND NEW.previous_hash = zeroblob(32))
    OR EXISTS (
        SELECT 1 FROM transitions p
        WHERE p.workspace = NEW.workspace AND p.contact = NEW.contact
          AND p.revision = NEW.revision - 1 AND p.hash = NEW.previous_hash
          AND p.to_stage = NEW.from_stage AND p.to_role = NEW.from_role
    )
)
BEGIN
    SELECT RAISE(ABORT, 'a transition goes on where the one before ended');
END;
