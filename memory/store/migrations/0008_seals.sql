-- The projects whose words were ever sealed, each with a word that only its key opens.
CREATE TABLE seals (
    project TEXT PRIMARY KEY,
    proof TEXT NOT NULL
) STRICT;
