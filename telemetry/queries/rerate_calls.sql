-- A page of one hour's calls whose cost comes from a price, or would if there were one. What a sender told as its
-- cost has no price row and stays; so does what was never counted in tokens.
SELECT
    project, environment, call_id, toUnixTimestamp64Micro(spans.started_at) AS started_at_us, user_id, key_id,
    provider, if(served_model = '', spans.model, served_model) AS priced_model, response_model, kind,
    input_uncached, cache_read, cache_write_5m, cache_write_1h, input_audio, input_image,
    output_text, output_reasoning, output_audio, output_image, web_searches, service_tier,
    cost_nano_usd, cache_saved_nano_usd, price_row, price_version
FROM spans
WHERE origin = {origin:String}
  AND toStartOfHour(started_at) = toStartOfHour(fromUnixTimestamp64Micro({hour_us:Int64}, 'UTC'))
  AND started_at >= fromUnixTimestamp64Micro({from_us:Int64}, 'UTC')
  AND started_at < fromUnixTimestamp64Micro({to_us:Int64}, 'UTC')
  AND call_id > {after_id:String}
  AND usage_source != 'none' AND cost_reason != 'no_rate:units' AND links_to = ''
  AND (price_row != '' OR isNull(cost_nano_usd))
  AND ({provider:String} = '' OR provider = {provider:String})
  AND ({model:String} = '' OR model = {model:String} OR served_model = {model:String} OR response_model = {model:String})
ORDER BY call_id
LIMIT {limit:UInt32}
