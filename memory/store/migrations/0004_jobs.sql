-- Conversations with something new in them, until a model or a rule has read it. `open`: further turns may join.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    scope_id INTEGER NOT NULL REFERENCES scopes,
    thread_id TEXT NOT NULL,
    task TEXT NOT NULL,
    state TEXT NOT NULL,
    open INTEGER NOT NULL,
    turns INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    lease TEXT NOT NULL DEFAULT '',
    lease_until_us INTEGER NOT NULL DEFAULT 0,
    instructions TEXT NOT NULL DEFAULT '',
    actor TEXT NOT NULL DEFAULT '',
    metadata BLOB NOT NULL DEFAULT x'7b7d',
    error TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '',
    effects BLOB NOT NULL DEFAULT x'90'
) STRICT;
CREATE INDEX jobs_due ON jobs (state, due_us);
CREATE INDEX jobs_of_threads ON jobs (scope_id, thread_id, number);

-- What a job reads. The words of a captured turn stand in its memory; those that were handed over stand here.
CREATE TABLE job_turns (
    job INTEGER NOT NULL REFERENCES jobs,
    place INTEGER NOT NULL,
    memory_id TEXT NOT NULL DEFAULT '',
    call_id TEXT NOT NULL,
    message_index INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    role TEXT NOT NULL,
    text TEXT NOT NULL DEFAULT '',
    occurred_us INTEGER NOT NULL,
    before BLOB NOT NULL DEFAULT x'90',
    PRIMARY KEY (job, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_turns_of_memories ON job_turns (memory_id);

-- What a model made of it, kept until it is applied: another attempt applies the same.
CREATE TABLE extractions (
    job INTEGER PRIMARY KEY REFERENCES jobs,
    content BLOB NOT NULL,
    operations BLOB NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;
