DROP TABLE remarks;
DROP TABLE notes;
