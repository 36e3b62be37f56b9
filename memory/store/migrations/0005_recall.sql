-- Who speaks in a scope's memories, what was said when, and what beside what.
CREATE INDEX memories_of_speaker ON memories (scope_id, actor) WHERE actor <> '';
CREATE INDEX memories_beside ON memories (scope_id, thread_id, seq)
    WHERE deleted = 0 AND hidden = 0 AND kind = 'episode';
CREATE INDEX memories_by_time ON memories (scope_id, deleted, occurred_us);

-- What `tidegate memory calibrate` found about an embedder.
CREATE TABLE gates (
    fingerprint TEXT PRIMARY KEY,
    dense REAL NOT NULL,
    pairs INTEGER NOT NULL,
    at_us INTEGER NOT NULL
) STRICT;
