-- A person, company or group. The document holds every fact as JSON; the columns beside it are what
-- lists filter and sort by. Keys are in lower case, so that both engines compare them alike.
CREATE TABLE contacts (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    display_key TEXT COLLATE "C" NOT NULL,
    given_key TEXT COLLATE "C" NOT NULL,
    family_key TEXT COLLATE "C" NOT NULL,
    company TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    relationship_kinds TEXT COLLATE "C" NOT NULL,
    source_channel TEXT COLLATE "C" NOT NULL,
    source_campaign TEXT COLLATE "C" NOT NULL,
    ready_to_buy BOOLEAN NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    updater TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    delete_time BIGINT,
    purge_time BIGINT,
    merged_into TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('contacts');
CREATE INDEX contacts_create_time ON contacts (workspace, create_time, contact);
CREATE INDEX contacts_update_time ON contacts (workspace, update_time, contact);
CREATE INDEX contacts_display_key ON contacts (workspace, display_key, contact);
CREATE INDEX contacts_family_key ON contacts (workspace, family_key, contact);
CREATE INDEX contacts_owner ON contacts (workspace, owner, contact);
CREATE INDEX contacts_company ON contacts (workspace, company, create_time, contact) WHERE company <> '';
CREATE INDEX contacts_purge_time ON contacts (purge_time) WHERE purge_time IS NOT NULL;

-- What a contact is looked up by: e-mail addresses (field email), phone numbers (phone) and labels
-- (label:KEY), each in the form in which they are compared.
CREATE TABLE contact_terms (
    workspace TEXT COLLATE "C" NOT NULL,
    field TEXT COLLATE "C" NOT NULL,
    term TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, field, term, contact),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
);
CALL keep_apart('contact_terms');
CREATE INDEX contact_terms_contact ON contact_terms (workspace, contact);

-- Keys of contacts in other systems, each unique in its workspace.
CREATE TABLE contact_external_ids (
    workspace TEXT COLLATE "C" NOT NULL,
    system TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, system, external_id),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
);
CALL keep_apart('contact_external_ids');
CREATE INDEX contact_external_ids_contact ON contact_external_ids (workspace, contact);

-- Where contacts stand, as told by the pipeline service: for display and filters only.
CREATE TABLE contact_positions (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    stage TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
);
CALL keep_apart('contact_positions');
CREATE INDEX contact_positions_stage ON contact_positions (workspace, stage, contact);

-- How far another service's log is told here in full: a place in that log.
CREATE TABLE projections (
    service TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    tx BIGINT NOT NULL,
    id BIGINT NOT NULL,
    update_time BIGINT NOT NULL
);
