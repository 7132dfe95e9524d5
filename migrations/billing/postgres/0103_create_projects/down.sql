DROP TABLE assignments;
DROP TABLE projects;
