-- The collections of the index: one answers, one may be in the making to take its place, others are to go.
-- `place`: the last memory (`seq`) that the new one has; -1: it is not made yet. `builder`: which hub is at it.
CREATE TABLE collections (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    state TEXT NOT NULL,
    place INTEGER NOT NULL DEFAULT -1,
    builder TEXT NOT NULL DEFAULT '',
    began_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX collections_in_use ON collections (state) WHERE state <> 'leaving';
CREATE INDEX vectors_of_embedder ON vectors (fingerprint);
