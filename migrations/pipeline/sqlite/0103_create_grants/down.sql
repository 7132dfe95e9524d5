DROP TABLE pending_transitions;
DROP TABLE grant_holders;
DROP TABLE workspace_holders;
DROP TABLE holders;
