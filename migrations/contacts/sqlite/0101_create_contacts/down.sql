DROP TABLE projections;
DROP TABLE contact_positions;
DROP TABLE contact_external_ids;
DROP TABLE contact_terms;
DROP TABLE contacts;
