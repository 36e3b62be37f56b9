CREATE UNIQUE INDEX memories_in_order ON memories (seq);
