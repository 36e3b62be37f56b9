-- Which memories went into a call.
CREATE INDEX uses_of_call ON uses (call_id);
