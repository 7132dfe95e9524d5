DROP TABLE effects;
DROP TABLE companies;
DROP TABLE evaluations;
