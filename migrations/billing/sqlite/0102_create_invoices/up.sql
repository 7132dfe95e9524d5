-- One row is one document, lines and buyer included (JSON), so that it is read, frozen and hashed
-- as a whole. Amounts are minor units of the currency. Year, sequence, number and hash come at issue;
-- days are YYYY-MM-DD, '' where there is none yet.
CREATE TABLE invoices (
    workspace TEXT NOT NULL,
    invoice TEXT NOT NULL,
    contact TEXT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('DRAFT', 'ISSUED')),
    series TEXT NOT NULL,
    year INTEGER,
    sequence INTEGER,
    number TEXT NOT NULL,
    issue_date TEXT NOT NULL,
    due_date TEXT NOT NULL,
    lines TEXT NOT NULL,
    adjustments TEXT NOT NULL,
    buyer TEXT,
    tax_subtotals TEXT NOT NULL,
    line_total INTEGER NOT NULL,
    allowance_total INTEGER NOT NULL,
    charge_total INTEGER NOT NULL,
    net_total INTEGER NOT NULL,
    tax_total INTEGER NOT NULL,
    gross_total INTEGER NOT NULL,
    prepaid INTEGER NOT NULL,
    rounding INTEGER NOT NULL,
    payable_total INTEGER NOT NULL,
    note TEXT NOT NULL,
    labels TEXT NOT NULL,
    grant_revision INTEGER NOT NULL,
    policy_revision TEXT NOT NULL,
    revision INTEGER NOT NULL,
    creator TEXT NOT NULL,
    updater TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    issue_time INTEGER,
    hash BLOB,
    PRIMARY KEY (workspace, invoice),
    CHECK (
        (state = 'DRAFT' AND year IS NULL AND sequence IS NULL AND number = ''
            AND issue_time IS NULL AND hash IS NULL)
        OR (state = 'ISSUED' AND year IS NOT NULL AND sequence IS NOT NULL AND number <> ''
            AND issue_time IS NOT NULL AND hash IS NOT NULL AND issue_date <> ''
            AND buyer IS NOT NULL)
    )
) STRICT;
CREATE INDEX invoices_create_time ON invoices (workspace, create_time, invoice);
CREATE INDEX invoices_issue_date ON invoices (workspace, issue_date, invoice);
CREATE INDEX invoices_number ON invoices (workspace, number, invoice);
CREATE INDEX invoices_contact ON invoices (workspace, contact, create_time, invoice);
CREATE UNIQUE INDEX invoices_workspace_series_year_sequence_key
    ON invoices (workspace, series, year, sequence) WHERE sequence IS NOT NULL;

-- An issued invoice is what the customer holds in hand: nobody changes or removes it, whatever the
-- program above does. Corrections are documents of their own.
CREATE TRIGGER invoices_refuse_update BEFORE UPDATE ON invoices WHEN OLD.state = 'ISSUED'
BEGIN
    SELECT RAISE(ABORT, 'an issued invoice is immutable');
END;
CREATE TRIGGER invoices_refuse_delete BEFORE DELETE ON invoices WHEN OLD.state = 'ISSUED'
BEGIN
    SELECT RAISE(ABORT, 'an issued invoice is immutable');
END;
-- REPLACE deletes without running the trigger above unless recursive triggers are on: whatever row has
-- the new one's id, number or place in the table, be the new one inserted or changed.
CREATE TRIGGER invoices_refuse_replace BEFORE INSERT ON invoices
WHEN EXISTS (
    SELECT 1 FROM invoices
    WHERE workspace = NEW.workspace AND invoice = NEW.invoice AND state = 'ISSUED'
)
OR EXISTS (
    SELECT 1 FROM invoices
    WHERE workspace = NEW.workspace AND series = NEW.series AND year = NEW.year
        AND sequence = NEW.sequence AND state = 'ISSUED'
)
OR EXISTS (SELECT 1 FROM invoices WHERE rowid = NEW.rowid AND state = 'ISSUED')
BEGIN
    SELECT RAISE(ABORT, 'an issued invoice is immutable');
END;
CREATE TRIGGER invoices_refuse_replacing_update BEFORE UPDATE ON invoices
WHEN EXISTS (
    SELECT 1 FROM invoices
    WHERE workspace = NEW.workspace AND invoice = NEW.invoice AND state = 'ISSUED'
        AND rowid <> OLD.rowid
)
OR EXISTS (
    SELECT 1 FROM invoices
    WHERE workspace = NEW.workspace AND series = NEW.series AND year = NEW.year
        AND sequence = NEW.sequence AND state = 'ISSUED' AND rowid <> OLD.rowid
)
OR EXISTS (
    SELECT 1 FROM invoices
    WHERE rowid = NEW.rowid AND rowid <> OLD.rowid AND state = 'ISSUED'
)
BEGIN
    SELECT RAISE(ABORT, 'an issued invoice is immutable');
END;

-- The last number of each series and year, and the hash of the invoice that has it.
CREATE TABLE invoice_series (
    workspace TEXT NOT NULL,
    series TEXT NOT NULL,
    year INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    last_hash BLOB NOT NULL,
    PRIMARY KEY (workspace, series, year)
) STRICT;
