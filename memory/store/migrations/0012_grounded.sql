-- What a model first proposed for a job, and how much of that stood in what was said.
ALTER TABLE jobs ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN grounded INTEGER NOT NULL DEFAULT 0;
