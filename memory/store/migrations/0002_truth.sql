-- A memory's statement as subject, predicate and object, and when it holds. Times: microseconds, 0 is "none".
ALTER TABLE memories ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN predicate TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN object TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN negative INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN valid_from_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN valid_to_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN expires_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN confidence REAL NOT NULL DEFAULT 1;
ALTER TABLE memories ADD COLUMN sensitivity TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN quarantined INTEGER NOT NULL DEFAULT 0;
ALTER TABLE memories ADD COLUMN proof_count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE memories ADD COLUMN superseded_by TEXT NOT NULL DEFAULT '';
-- Merged into another memory or retracted by the user: kept for its history, never an answer.
ALTER TABLE memories ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
-- Where in which conversation it was said; `seq` is the order in which the ledger learnt.
ALTER TABLE memories ADD COLUMN thread_id TEXT NOT NULL DEFAULT '';
ALTER TABLE memories ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
CREATE INDEX memories_of_thread ON memories (scope_id, thread_id, occurred_us, seq);
CREATE INDEX memories_that_expire ON memories (expires_us) WHERE expires_us > 0;

-- What was asserted, one row for each operation, append-only; the memories above are what follows from them.
CREATE TABLE claims (
    id TEXT PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes,
    memory_id TEXT NOT NULL DEFAULT '',
    target TEXT NOT NULL,
    same TEXT NOT NULL,
    slot TEXT NOT NULL,
    facets TEXT NOT NULL,
    body BLOB NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BLOB,
    batch TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX claims_that_read_the_same ON claims (scope_id, same);
CREATE INDEX claims_of_slot ON claims (scope_id, slot);
CREATE INDEX claims_of_facets ON claims (scope_id, facets);
CREATE INDEX claims_on_target ON claims (scope_id, target);
CREATE INDEX claims_of_memory ON claims (memory_id);

-- Pairs of claims that mean nearly the same; both directions.
CREATE TABLE alike (
    claim_id TEXT NOT NULL REFERENCES claims,
    other_id TEXT NOT NULL REFERENCES claims,
    PRIMARY KEY (claim_id, other_id)
) STRICT, WITHOUT ROWID;

-- Several quotes of one message may prove one memory; `claim_id` is empty for what was stored word for word.
ALTER TABLE evidence RENAME TO evidence_before;
CREATE TABLE evidence (
    memory_id TEXT NOT NULL REFERENCES memories,
    claim_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    message_index INTEGER NOT NULL,
    thread_id TEXT NOT NULL,
    quote TEXT NOT NULL
) STRICT;
INSERT INTO evidence SELECT memory_id, '', call_id, message_index, thread_id, quote FROM evidence_before;
DROP TABLE evidence_before;
CREATE INDEX evidence_of_memory ON evidence (memory_id);
CREATE INDEX evidence_of_claim ON evidence (claim_id);
CREATE INDEX evidence_of_call ON evidence (call_id);

ALTER TABLE versions ADD COLUMN claim_id TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN valid_from_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN valid_to_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- Who and what memories are about; `normal` is the name as names are compared. A name may have several owners.
CREATE TABLE entities (
    id INTEGER PRIMARY KEY,
    scope_id INTEGER NOT NULL REFERENCES scopes,
    normal TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    UNIQUE (scope_id, normal)
) STRICT;
CREATE TABLE mentions (
    memory_id TEXT NOT NULL REFERENCES memories,
    entity_id INTEGER NOT NULL REFERENCES entities,
    PRIMARY KEY (memory_id, entity_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mentions_of_entity ON mentions (entity_id);
CREATE TABLE aliases (
    scope_id INTEGER NOT NULL REFERENCES scopes,
    normal TEXT NOT NULL,
    entity_id INTEGER NOT NULL REFERENCES entities,
    memory_id TEXT NOT NULL REFERENCES memories,
    PRIMARY KEY (scope_id, normal, entity_id, memory_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_of_memory ON aliases (memory_id);

-- Subject -> predicate -> object. It holds as long as its memory does.
CREATE TABLE edges (
    memory_id TEXT PRIMARY KEY REFERENCES memories,
    subject_id INTEGER NOT NULL REFERENCES entities,
    predicate TEXT NOT NULL,
    object_id INTEGER NOT NULL REFERENCES entities
) STRICT;
CREATE INDEX edges_from ON edges (subject_id);
CREATE INDEX edges_to ON edges (object_id);

-- Keyed digests of what was erased and until when it had been said: sent again, it stays away.
CREATE TABLE suppressions (
    owner TEXT NOT NULL,
    digest TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (owner, digest)
) STRICT, WITHOUT ROWID;
