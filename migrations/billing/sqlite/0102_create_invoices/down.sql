DROP TABLE invoice_series;
DROP TABLE invoices;
