-- The same where nothing was amended.
SELECT * FROM spans WHERE {{spans_scope}} AND {{spans_range}} AND {{narrowed}}
