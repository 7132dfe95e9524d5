-- Where contacts stand. stage and role are those of the newest transition, expressed in the policy
-- of `activation`; both empty without a position. kind is the contact's: PERSON, COMPANY or GROUP,
-- as last read. change counts every change, for etags.
-- grant_revision rises with every change of what the contact is entitled to and is never reused.
-- facts_time is the age of the contact that was last decided on: an older reading decides nothing.
-- documents_exist says whether a holder that was forgotten since had issued a document.
CREATE TABLE positions (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('OPEN', 'REVOKING', 'NONE')),
    revision BIGINT NOT NULL,
    change BIGINT NOT NULL,
    activation BIGINT NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    policy_revision BIGINT NOT NULL,
    enter_time BIGINT NOT NULL,
    head_hash BYTEA NOT NULL,
    sealed_revision BIGINT NOT NULL,
    grant_revision BIGINT NOT NULL,
    facts_time BIGINT NOT NULL,
    refusal TEXT COLLATE "C" NOT NULL,
    documents_exist BOOLEAN NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace) REFERENCES workspaces (workspace),
    CHECK (state = 'REVOKING' OR (state = 'OPEN') = (stage <> ''))
);
CALL keep_apart('positions');
CREATE INDEX positions_stage ON positions (workspace, stage, contact);
CREATE INDEX positions_enter_time ON positions (workspace, enter_time, contact);
CREATE INDEX positions_activation ON positions (workspace, activation, contact);
CREATE INDEX positions_unsealed ON positions (workspace, contact) WHERE revision > sealed_revision;

-- Every move, for ever. hash covers the row, with the digest in place of the note, and
-- previous_hash, which is the hash of the contact's row before; 32 zero bytes for the first.
-- decision is the same for all rows that one decision wrote.
CREATE TABLE transitions (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    from_stage TEXT COLLATE "C" NOT NULL,
    to_stage TEXT COLLATE "C" NOT NULL,
    from_role TEXT COLLATE "C" NOT NULL,
    to_role TEXT COLLATE "C" NOT NULL,
    skip BOOLEAN NOT NULL,
    cause TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    note_digest BYTEA NOT NULL,
    trigger_id TEXT COLLATE "C" NOT NULL,
    activity TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    policy_revision BIGINT NOT NULL,
    activation BIGINT NOT NULL,
    effective_time BIGINT NOT NULL,
    record_time BIGINT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (workspace, contact, revision)
);
CALL keep_apart('transitions');
CREATE INDEX transitions_record_time ON transitions (workspace, record_time, contact, revision);

-- Seals over the histories of a workspace: the heads of all histories that grew since the seal
-- before. hash covers previous_hash and the heads in the order of their contacts.
CREATE TABLE checkpoints (
    workspace TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    heads BIGINT NOT NULL,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    record_time BIGINT NOT NULL,
    PRIMARY KEY (workspace, number)
);
CALL keep_apart('checkpoints');
CREATE TABLE checkpoint_heads (
    workspace TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (workspace, number, contact),
    FOREIGN KEY (workspace, number) REFERENCES checkpoints (workspace, number)
);
CALL keep_apart('checkpoint_heads');
CREATE INDEX checkpoint_heads_contact ON checkpoint_heads (workspace, contact, revision);

-- What was written stays as it was written.
CREATE TRIGGER transitions_update BEFORE UPDATE ON transitions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a transition never changes');
CREATE TRIGGER transitions_delete BEFORE DELETE ON transitions
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a transition never changes');
CREATE TRIGGER transitions_truncate BEFORE TRUNCATE ON transitions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a transition never changes');
CREATE TRIGGER checkpoints_update BEFORE UPDATE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a checkpoint never changes');
CREATE TRIGGER checkpoints_delete BEFORE DELETE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a checkpoint never changes');
CREATE TRIGGER checkpoints_truncate BEFORE TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a checkpoint never changes');
CREATE TRIGGER checkpoint_heads_update BEFORE UPDATE ON checkpoint_heads
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a checkpoint never changes');
CREATE TRIGGER checkpoint_heads_delete BEFORE DELETE ON checkpoint_heads
    FOR EACH ROW EXECUTE FUNCTION refuse_change('a checkpoint never changes');
CREATE TRIGGER checkpoint_heads_truncate BEFORE TRUNCATE ON checkpoint_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('a checkpoint never changes');

-- A position says what its newest transition says; nothing else can be written.
CREATE FUNCTION positions_follow_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a position is never deleted';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.revision <> 0 OR NEW.stage <> '' OR NEW.role <> '' THEN
            RAISE EXCEPTION 'a position begins without a stage';
        END IF;
        RETURN NEW;
    END IF;
    IF (
        NEW.stage <> OLD.stage OR NEW.role <> OLD.role OR NEW.revision <> OLD.revision
        OR NEW.head_hash <> OLD.head_hash OR NEW.workspace <> OLD.workspace
        OR NEW.contact <> OLD.contact OR NEW.enter_time <> OLD.enter_time
        OR NEW.policy <> OLD.policy OR NEW.policy_revision <> OLD.policy_revision
        OR NEW.activation < OLD.activation
    ) AND NOT EXISTS (
        SELECT 1 FROM transitions t
        WHERE t.workspace = OLD.workspace AND t.contact = OLD.contact AND t.revision = NEW.revision
          AND NEW.workspace = OLD.workspace AND NEW.contact = OLD.contact
          AND t.to_stage = NEW.stage AND t.to_role = NEW.role AND t.hash = NEW.head_hash
          AND t.effective_time = NEW.enter_time AND t.policy = NEW.policy
          AND t.policy_revision = NEW.policy_revision AND t.activation <= NEW.activation
          AND NOT EXISTS (
              SELECT 1 FROM transitions n
              WHERE n.workspace = t.workspace AND n.contact = t.contact
                AND n.revision = t.revision + 1
          )
    ) THEN
        RAISE EXCEPTION 'a position says what its newest transition says';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER positions_insert_follows_history BEFORE INSERT ON positions
    FOR EACH ROW EXECUTE FUNCTION positions_follow_history();
CREATE TRIGGER positions_update_follows_history
    BEFORE UPDATE ON positions
    FOR EACH ROW EXECUTE FUNCTION positions_follow_history();
CREATE TRIGGER positions_delete BEFORE DELETE ON positions
    FOR EACH ROW EXECUTE FUNCTION positions_follow_history();

-- A transition goes on where the one before ended.
CREATE FUNCTION transitions_go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (
        (NEW.revision = 1 AND NEW.from_stage = '' AND NEW.from_role = ''
            AND NEW.previous_hash = decode(repeat('00', 32), 'hex'))
        OR EXISTS (
            SELECT 1 FROM transitions p
            WHERE p.workspace = NEW.workspace AND p.contact = NEW.contact
              AND p.revision = NEW.revision - 1 AND p.hash = NEW.previous_hash
              AND p.to_stage = NEW.from_stage AND p.to_role = NEW.from_role
        )
    ) THEN
        RAISE EXCEPTION 'a transition goes on where the one before ended';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER transitions_insert_goes_on BEFORE INSERT ON transitions
    FOR EACH ROW EXECUTE FUNCTION transitions_go_on();
