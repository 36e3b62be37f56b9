-- What the guardrails made of a call, as JSON, and whether its answer came from the cache of answers.
ALTER TABLE spans ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS guardrails String CODEC(ZSTD(3)),
    ADD COLUMN IF NOT EXISTS cache LowCardinality(String);
