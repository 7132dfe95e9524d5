DROP TABLE purged_contacts;
