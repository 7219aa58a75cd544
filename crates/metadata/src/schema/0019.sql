-- How often something was pulled from a repository. Written in batches, apart from the repositories, whose every change ends
-- what was remembered of them; no foreign key, since a batch comes late.
CREATE TABLE repository_pulls (
    repository_id INT PRIMARY KEY,
    pulls INT NOT NULL
);
