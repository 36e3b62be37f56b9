-- What was put into which conversation. Threads and anchors are keyed digests, as hex: of a scope and a thread's name,
-- and of what the user had said up to there. Only what a provider was really sent stands here.
CREATE TABLE threads (
    thread TEXT PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes ON DELETE CASCADE,
    used_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_by_use ON threads (used_us);
CREATE INDEX threads_of_scope ON threads (scope_id);

-- The exact words behind each anchor; '' is "nothing". The profile of the thread has the anchor ''.
CREATE TABLE injections (
    thread TEXT NOT NULL REFERENCES threads ON DELETE CASCADE,
    anchor TEXT NOT NULL,
    block TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (thread, anchor)
) STRICT, WITHOUT ROWID;

CREATE TABLE injected (
    thread TEXT NOT NULL,
    anchor TEXT NOT NULL,
    memory_id TEXT NOT NULL REFERENCES memories,
    PRIMARY KEY (thread, anchor, memory_id),
    FOREIGN KEY (thread, anchor) REFERENCES injections ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX injected_of_memory ON injected (memory_id);

-- Why a call got what it got; which memories that were stands in `uses`.
CREATE TABLE recalls (
    call_id TEXT PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes ON DELETE CASCADE,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    fates BLOB NOT NULL,
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recalls_by_time ON recalls (at_us);
CREATE INDEX recalls_of_scope ON recalls (scope_id);
