-- Passes of the background work. `place`: how far one is, and where a new process goes on with it.
CREATE TABLE upkeep_runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    place TEXT NOT NULL DEFAULT '',
    seen INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0,
    began_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX upkeep_runs_of_jobs ON upkeep_runs (job, number);

-- What a pass has changed, and what it takes to put that back.
CREATE TABLE upkeep_steps (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES upkeep_runs,
    memory_id TEXT NOT NULL,
    other TEXT NOT NULL DEFAULT '',
    before TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX upkeep_steps_of_run ON upkeep_steps (run, number);
CREATE INDEX upkeep_steps_of_memory ON upkeep_steps (memory_id, other);

-- Up to where (`memories.seq`) a conversation is told in short.
CREATE TABLE summaries (
    scope_id INTEGER NOT NULL REFERENCES scopes ON DELETE CASCADE,
    thread_id TEXT NOT NULL,
    upto INTEGER NOT NULL,
    PRIMARY KEY (scope_id, thread_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_of_batch ON claims (batch);

-- What use and age make of a memory's score: 0.3 to 1.5.
ALTER TABLE memories ADD COLUMN weight REAL NOT NULL DEFAULT 1;
CREATE INDEX statements_of_scope ON memories (scope_id, seq) WHERE deleted = 0 AND hidden = 0 AND kind <> 'episode';
