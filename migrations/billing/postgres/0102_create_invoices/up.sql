-- One row is one document, lines and buyer included (JSON), so that it is read, frozen and hashed
-- as a whole. Amounts are minor units of the currency. Year, sequence, number and hash come at issue;
-- days are YYYY-MM-DD, '' where there is none yet.
CREATE TABLE invoices (
    workspace TEXT COLLATE "C" NOT NULL,
    invoice TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('DRAFT', 'ISSUED')),
    series TEXT COLLATE "C" NOT NULL,
    year INTEGER,
    sequence BIGINT,
    number TEXT COLLATE "C" NOT NULL,
    issue_date TEXT COLLATE "C" NOT NULL,
    due_date TEXT COLLATE "C" NOT NULL,
    lines TEXT COLLATE "C" NOT NULL,
    adjustments TEXT COLLATE "C" NOT NULL,
    buyer TEXT COLLATE "C",
    tax_subtotals TEXT COLLATE "C" NOT NULL,
    line_total BIGINT NOT NULL,
    allowance_total BIGINT NOT NULL,
    charge_total BIGINT NOT NULL,
    net_total BIGINT NOT NULL,
    tax_total BIGINT NOT NULL,
    gross_total BIGINT NOT NULL,
    prepaid BIGINT NOT NULL,
    rounding BIGINT NOT NULL,
    payable_total BIGINT NOT NULL,
    note TEXT COLLATE "C" NOT NULL,
    labels TEXT COLLATE "C" NOT NULL,
    grant_revision BIGINT NOT NULL,
    policy_revision TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    creator TEXT COLLATE "C" NOT NULL,
    updater TEXT COLLATE "C" NOT NULL,
    create_time BIGINT NOT NULL,
    update_time BIGINT NOT NULL,
    issue_time BIGINT,
    hash BYTEA,
    PRIMARY KEY (workspace, invoice),
    CHECK (
        (state = 'DRAFT' AND year IS NULL AND sequence IS NULL AND number = ''
            AND issue_time IS NULL AND hash IS NULL)
        OR (state = 'ISSUED' AND year IS NOT NULL AND sequence IS NOT NULL AND number <> ''
            AND issue_time IS NOT NULL AND hash IS NOT NULL AND issue_date <> ''
            AND buyer IS NOT NULL)
    )
);
CALL keep_apart('invoices');
CREATE INDEX invoices_create_time ON invoices (workspace, create_time, invoice);
CREATE INDEX invoices_issue_date ON invoices (workspace, issue_date, invoice);
CREATE INDEX invoices_number ON invoices (workspace, number, invoice);
CREATE INDEX invoices_contact ON invoices (workspace, contact, create_time, invoice);
CREATE UNIQUE INDEX invoices_workspace_series_year_sequence_key
    ON invoices (workspace, series, year, sequence) WHERE sequence IS NOT NULL;

-- An issued invoice is what the customer holds in hand: nobody changes or removes it, whatever the
-- program above does. Corrections are documents of their own.
CREATE FUNCTION invoices_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an issued invoice is immutable';
END;
$$;
CREATE TRIGGER invoices_refuse_update BEFORE UPDATE ON invoices
    FOR EACH ROW WHEN (OLD.state = 'ISSUED') EXECUTE FUNCTION invoices_refuse_change();
CREATE TRIGGER invoices_refuse_delete BEFORE DELETE ON invoices
    FOR EACH ROW WHEN (OLD.state = 'ISSUED') EXECUTE FUNCTION invoices_refuse_change();
CREATE TRIGGER invoices_refuse_truncate BEFORE TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION invoices_refuse_change();

-- The last number of each series and year, and the hash of the invoice that has it.
CREATE TABLE invoice_series (
    workspace TEXT COLLATE "C" NOT NULL,
    series TEXT COLLATE "C" NOT NULL,
    year INTEGER NOT NULL,
    last_sequence BIGINT NOT NULL,
    last_hash BYTEA NOT NULL,
    PRIMARY KEY (workspace, series, year)
);
CALL keep_apart('invoice_series');
