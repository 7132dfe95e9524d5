-- A person, company or group. The document holds every fact as JSON; the columns beside it are what
-- lists filter and sort by. Keys are in lower case, so that both engines compare them alike.
CREATE TABLE contacts (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    display_key TEXT NOT NULL,
    given_key TEXT NOT NULL,
    family_key TEXT NOT NULL,
    company TEXT NOT NULL,
    owner TEXT NOT NULL,
    relationship_kinds TEXT NOT NULL,
    source_channel TEXT NOT NULL,
    source_campaign TEXT NOT NULL,
    ready_to_buy INTEGER NOT NULL,
    document TEXT NOT NULL,
    creator TEXT NOT NULL,
    updater TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    delete_time INTEGER,
    purge_time INTEGER,
    merged_into TEXT NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT;
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
    workspace TEXT NOT NULL,
    field TEXT NOT NULL,
    term TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (workspace, field, term, contact),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
) STRICT;
CREATE INDEX contact_terms_contact ON contact_terms (workspace, contact);

-- Keys of contacts in other systems, each unique in its workspace.
CREATE TABLE contact_external_ids (
    workspace TEXT NOT NULL,
    system TEXT NOT NULL,
    external_id TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (workspace, system, external_id),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
) STRICT;
CREATE INDEX contact_external_ids_contact ON contact_external_ids (workspace, contact);

-- Where contacts stand, as told by the pipeline service: for display and filters only.
CREATE TABLE contact_positions (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    stage TEXT NOT NULL,
    role TEXT NOT NULL,
    revision INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (workspace, contact),
    FOREIGN KEY (workspace, contact) REFERENCES contacts (workspace, contact) ON DELETE CASCADE
) STRICT;
CREATE INDEX contact_positions_stage ON contact_positions (workspace, stage, contact);

-- How far another service's log is told here in full: a place in that log.
CREATE TABLE projections (
    service TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    tx INTEGER NOT NULL,
    id INTEGER NOT NULL,
    update_time INTEGER NOT NULL
) STRICT;
