-- The elements of a JSON list, as SQLite's function of this name gives them.
CREATE FUNCTION json_each(text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE ROWS 20 AS $$
    SELECT json_array_elements_text(replace($1, '\u0000', '\ufffd')::json) COLLATE "C"
$$;

-- And the pairs of a JSON object that is kept as bytes; its lists can be given to the other one.
CREATE FUNCTION json_each(bytea) RETURNS TABLE (key text, value text, type text) LANGUAGE sql IMMUTABLE ROWS 10 AS $$
    SELECT pair.key, pair.value #>> '{}',
        CASE json_typeof(pair.value) WHEN 'string' THEN 'text' WHEN 'number' THEN 'real'
            WHEN 'boolean' THEN pair.value::text ELSE json_typeof(pair.value) END
    FROM json_each(replace(convert_from($1, 'UTF8'), '\u0000', '\ufffd')::json) pair
$$;

-- With what the digests in this ledger are made; all hubs go by that of the first.
CREATE TABLE digest_key (one BIGINT PRIMARY KEY CHECK (one = 1), key BYTEA NOT NULL);
