DROP TABLE invoice_series;
DROP TABLE invoices;
DROP FUNCTION invoices_refuse_change();
