DROP TABLE grants;
DROP TABLE fences;
DROP TABLE gate;
