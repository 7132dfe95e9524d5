-- Names of contacts that were removed for good. They are never given again: what refers to them, such
-- as old invoices, would mean somebody else.
CREATE TABLE purged_contacts (
    workspace TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (workspace, contact)
) STRICT, WITHOUT ROWID;
