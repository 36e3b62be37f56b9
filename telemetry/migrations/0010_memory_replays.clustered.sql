-- What of a call's memories stood in it because it had stood in earlier calls, and what introduced its user.
ALTER TABLE spans ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS memory_replayed UInt64,
    ADD COLUMN IF NOT EXISTS memory_profile_tokens UInt64;
