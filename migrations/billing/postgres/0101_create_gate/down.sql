DROP TABLE gate_intents;
DROP TABLE grants;
DROP TABLE fences;
DROP TABLE gate;
