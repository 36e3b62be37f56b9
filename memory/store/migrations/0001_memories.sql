-- One row per distinct scope that memories were written in; an absent id is ''.
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    "user" TEXT NOT NULL,
    agent TEXT NOT NULL,
    run TEXT NOT NULL,
    documents INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, environment, "user", agent, run)
) STRICT;

-- The present. A deleted memory stays as a row without a word.
CREATE TABLE memories (
    id TEXT PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0,
    text TEXT NOT NULL,
    terms BLOB NOT NULL,
    same BLOB NOT NULL,
    kind TEXT NOT NULL,
    trust TEXT NOT NULL,
    actor TEXT NOT NULL,
    metadata BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    occurred_us INTEGER NOT NULL
) STRICT;
CREATE INDEX memories_of_scope ON memories (scope_id, deleted, created_us);
CREATE INDEX memories_that_read_the_same ON memories (scope_id, same);

-- The past, append-only; deleting a memory empties its texts.
CREATE TABLE versions (
    memory_id TEXT NOT NULL REFERENCES memories,
    version INTEGER NOT NULL,
    event TEXT NOT NULL,
    old_text TEXT,
    new_text TEXT,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (memory_id, version)
) STRICT;

CREATE TABLE evidence (
    memory_id TEXT NOT NULL REFERENCES memories,
    call_id TEXT NOT NULL,
    message_index INTEGER NOT NULL,
    thread_id TEXT NOT NULL,
    quote TEXT NOT NULL,
    PRIMARY KEY (memory_id, call_id, message_index)
) STRICT;

-- Into which calls a memory went.
CREATE TABLE uses (
    memory_id TEXT NOT NULL REFERENCES memories,
    call_id TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (memory_id, call_id)
) STRICT;

-- Turns by keyed digest; they outlive their memories, so that what was erased is not captured again.
CREATE TABLE seen (
    node BLOB PRIMARY KEY,
    root BLOB NOT NULL,
    parent BLOB NOT NULL,
    content BLOB NOT NULL,
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_places ON seen (root, content, at_us);
CREATE INDEX seen_children ON seen (parent);

-- In how many memories of a scope a term occurs.
CREATE TABLE term_counts (
    scope_id INTEGER NOT NULL REFERENCES scopes,
    term INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    PRIMARY KEY (scope_id, term)
) STRICT, WITHOUT ROWID;

CREATE TABLE vectors (
    memory_id TEXT NOT NULL REFERENCES memories,
    fingerprint TEXT NOT NULL,
    version INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (memory_id, fingerprint)
) STRICT;

CREATE TABLE vector_sums (
    scope_id INTEGER NOT NULL REFERENCES scopes,
    fingerprint TEXT NOT NULL,
    vectors INTEGER NOT NULL,
    total BLOB NOT NULL,
    PRIMARY KEY (scope_id, fingerprint)
) STRICT;

-- What the index must still be told; the generation is another one after each change of the memory.
CREATE TABLE outbox (
    memory_id TEXT PRIMARY KEY REFERENCES memories,
    generation INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_us INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_due ON outbox (due_us);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes,
    at_us INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    memory_id TEXT NOT NULL,
    count INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_of_scope ON audit (scope_id, id);
