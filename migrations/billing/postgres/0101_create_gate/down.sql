DROP TABLE gate_intents;
DROP TABLE subjects;
DROP TABLE grants;
DROP TABLE fences;
DROP TABLE gate;
