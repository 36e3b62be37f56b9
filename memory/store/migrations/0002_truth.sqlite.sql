-- The memories of before, in the order in which they came.
UPDATE memories SET valid_from_us = occurred_us, seq = rowid,
    thread_id = coalesce((SELECT e.thread_id FROM evidence e WHERE e.memory_id = memories.id LIMIT 1), '');
CREATE UNIQUE INDEX memories_in_order ON memories (seq);
