-- Names of contacts that were removed for good. They are never given again: what refers to them, such
-- as old invoices, would mean somebody else.
CREATE TABLE purged_contacts (
    workspace TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (workspace, contact)
);
CALL keep_apart('purged_contacts');
