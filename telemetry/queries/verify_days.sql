-- The days on which one origin has calls.
SELECT toString(toDate(started_at)) AS day
FROM spans
WHERE origin = {origin:String}
GROUP BY day
ORDER BY day
