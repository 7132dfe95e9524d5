DROP TABLE checkpoint_heads;
DROP TABLE checkpoints;
DROP TABLE transitions;
DROP TABLE positions;
