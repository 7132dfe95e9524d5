DROP TABLE fences;
DROP TABLE policy_activations;
DROP TABLE policy_revisions;
DROP TABLE policies;
DROP TABLE workspace_intents;
DROP TABLE workspaces;
DROP FUNCTION refuse_change();
