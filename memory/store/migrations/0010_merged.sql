-- Which memories were merged into one that is being erased.
CREATE INDEX memories_merged ON memories (superseded_by) WHERE hidden = 1;
