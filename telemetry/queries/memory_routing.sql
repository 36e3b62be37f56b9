-- Who answered: how often a call was tried again, went to another deployment, met a rate limit, and what it cost.
SELECT
    toString(spans.provider) AS provider,
    toString(if(spans.served_model = '', spans.model, spans.served_model)) AS model,
    toInt64(count()) AS calls,
    toInt64(countIf(spans.route != '')) AS routed,
    toInt64(countIf(spans.attempt_count > 1)) AS retried,
    toInt64(sum(greatest(spans.attempt_count, 1)) - count()) AS retries,
    toInt64(countIf(length(arrayDistinct(arrayMap(
        one -> JSONExtractString(one, 'deployment'), JSONExtractArrayRaw(spans.attempts)))) > 1)) AS fallbacks,
    toInt64(countIf(position(spans.attempts, '"rate_limited"') > 0)) AS rate_limited,
    toInt64(countIf(spans.status = 'error')) AS errors,
    toInt64(countIf(isNotNull(spans.cost_nano_usd))) AS priced,
    toInt64(sum(ifNull(spans.cost_nano_usd, 0))) AS cost_nano_usd
FROM {{calls}}
WHERE ({anybodys:UInt8} = 1 OR (project = {project:String} AND environment = {environment:String}))
  AND spans.started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND spans.started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
GROUP BY provider, model
ORDER BY calls DESC, provider, model
LIMIT 100
