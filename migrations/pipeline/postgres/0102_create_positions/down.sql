DROP TABLE checkpoint_heads;
DROP TABLE checkpoints;
DROP TABLE transitions;
DROP TABLE positions;
DROP FUNCTION positions_follow_history();
DROP FUNCTION transitions_go_on();
