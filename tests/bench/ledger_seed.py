"""Fills a ledger with calls as a busy house makes them: the engine makes them up itself, a million in half a minute.

A call belongs to an event of about three, that to a thread of about ten, that to a user (some talk much more than
others), that to a project. Ids and digests are as random as real ones, or bytes per row would flatter.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from telemetry.store.base import Parameter, Store

DAYS = 40
"""How far back the calls reach."""
DAY_US = 86_400_000_000
USERS = 20_000
RARE = "zugzwang"
"""A word in one of two thousand payloads."""

_STEP = 500_000
_MODELS = """['openai', 'gpt-5-mini', 'gpt-5-mini-2025-08-07'], ['openai', 'gpt-5', 'gpt-5-2025-08-07'],
['openai', 'gpt-4.1-mini', 'gpt-4.1-mini-2025-04-14'], ['anthropic', 'claude-sonnet-4-5', 'claude-sonnet-4-5-20250929'],
['anthropic', 'claude-haiku-4-5', 'claude-haiku-4-5-20251001'], ['gemini', 'gemini-2.5-flash', 'gemini-2.5-flash'],
['gemini', 'gemini-2.5-pro', 'gemini-2.5-pro'], ['mistral', 'mistral-small-latest', 'mistral-small-latest']"""

_CALLS = f"""
WITH
    cityHash64(number) AS dice,
    intDiv(number, 3000) AS block,
    block * 1000 + dice % 1000 AS event,
    intDiv(block, 100) * 30000 + cityHash64(event, 1) % 30000 AS thread,
    toUInt32({USERS} * pow((cityHash64(thread, 2) % 1000000) / 1000000, 2)) AS person,
    multiIf(person % 20 < 10, 'assistant', person % 20 < 16, 'search', person % 20 < 19, 'support', 'batch') AS home,
    [{_MODELS}][1 + (person + dice % 3) % 8] AS asked,
    toUInt64({{first_us:Int64}} + number * {{apart_ns:Int64}} / 1000 + dice % 1000000) AS began_us,
    leftPad(lower(hex(intDiv(began_us, 1000))), 16, '0') AS moment,
    lower(hex(cityHash64(number, 3))) AS chance,
    lower(hex(SHA256(toString(number)))) AS digest,
    dice % 100 < 3 AS failed,
    dice % 1000 = 999 AS lost,
    failed OR lost AS unanswered,
    if(unanswered, 0, 50 + cityHash64(number, 4) % 3000) AS tokens_in,
    if(unanswered, 0, 20 + cityHash64(number, 5) % 600) AS tokens_out,
    if(cityHash64(number, 6) % 3 = 0, intDiv(tokens_in, 2), 0) AS cached,
    toUInt64(exp(12 + 3 * (cityHash64(number, 7) % 1000) / 1000)) AS lasted,
    toInt64(tokens_in * 250 + tokens_out * 2000) AS price
SELECT
    home AS project, if(person % 10 = 7, 'test', 'prod') AS environment, concat('key_', home, toString(person % 5)) AS key_id,
    concat('user-', toString(person)) AS user_id, concat('event-', toString(event)) AS event_id,
    concat('thread-', toString(thread)) AS thread_id,
    concat(substring(moment, 5, 8), '-', substring(moment, 13, 4), '-7', substring(chance, 1, 3), '-8',
        substring(chance, 4, 3), '-', substring(digest, 1, 12)) AS call_id,
    ['', 'retrieval', 'synthesis'][1 + dice % 3] AS step,
    [concat('tag-', toString(dice % 20))] AS tags,
    map('feature', concat('f', toString(event % 30)), 'release', concat('r', toString(intDiv(number, 200000)))) AS properties,
    'llm' AS kind, 'openai.chat' AS surface, 'chat' AS operation, asked[2] AS model, concat(asked[1], '/', asked[2]) AS route,
    dice % 2 = 0 AS stream, '{{"temperature":0.2,"max_tokens":1024}}' AS parameters, 200 + dice % 9000 AS request_bytes,
    multiIf(failed, 'error', lost, 'interrupted', dice % 100 = 50, 'cancelled', 'ok') AS status,
    multiIf(failed, 502, lost, 0, 200) AS http_status,
    if(failed, ['rate_limited', 'timeout', 'overloaded'][1 + person % 3], '') AS error_type,
    if(failed, concat('the provider said no for the ', toString(dice % 1000), 'th time'), '') AS error_message,
    asked[1] AS provider, route AS deployment, if(lost, '', asked[2]) AS served_model,
    if(unanswered, '', asked[3]) AS response_model, if(unanswered, '', concat('chatcmpl-', substring(digest, 10, 29))) AS response_id,
    if(unanswered, '', 'stop') AS finish_reason, 1 AS attempt_count,
    concat('[{{"deployment":"', route, '","provider":"', asked[1], '","model":"', asked[2], '","started_us":210,"connected_us":230,',
        '"first_byte_us":', toString(intDiv(lasted, 3)), ',"ended_us":', toString(lasted), ',"reused":true,"http_status":200,',
        '"request_id":"req_', chance, '","sent_sha256":"', digest, '"}}]') AS attempts,
    600 + dice % 3000 AS response_bytes, if(dice % 50 = 0, 'full', 'none') AS capture,
    fromUnixTimestamp64Micro(toInt64(began_us), 'UTC') AS started_at,
    intDiv(lasted, 3) AS first_byte_us, intDiv(lasted, 3) AS first_token_us, lasted AS total_us, 150 + dice % 200 AS overhead_us,
    tokens_in - cached AS input_uncached, cached AS cache_read, tokens_out AS output_text, tokens_in AS input_tokens,
    tokens_out AS output_tokens, if(unanswered, 'none', 'provider') AS usage_source,
    concat('{{"prompt_tokens":', toString(tokens_in), ',"completion_tokens":', toString(tokens_out), '}}') AS raw_usage,
    if(unanswered OR dice % 50 = 1, NULL, price) AS cost_nano_usd,
    if(isNull(cost_nano_usd), 0, price) AS cost_lower_nano_usd, cost_nano_usd AS cost_upper_nano_usd,
    map('input_uncached', tokens_in * 250, 'output_text', tokens_out * 2000) AS cost_lines,
    multiIf(lost, 'interrupted', failed, 'no_answer', dice % 50 = 1, 'unknown_model', '') AS cost_reason,
    concat(asked[1], '/', asked[2]) AS price_row, '2026.11.1' AS price_version, '0.1.0' AS gateway, 'bench' AS origin
FROM numbers({{from:UInt64}}, {{count:UInt64}})"""

_PAYLOADS = f"""
INSERT INTO span_payloads (project, environment, call_id, kind, started_at, surface, content_type, preview, body,
    bytes_total, sha256, redactions, origin)
WITH
    arrayMap(word -> concat('word', toString(3000 * pow((cityHash64(call_id, part, word) % 1000000) / 1000000, 2) AS drawn)),
        range(part = 'request' ? 400 : 220)) AS words,
    if(cityHash64(call_id, part) % 2000 = 0, ' {RARE}', '') AS rare,
    concat(arrayStringConcat(arrayMap(word -> splitByChar('.', word)[1], words), ' '), rare) AS said
SELECT
    project, environment, call_id, part AS kind, started_at, surface, 'application/json', substring(said, 1, 300),
    concat('{{"model":"', model, '","messages":[{{"role":"user","content":"', said, '"}}]}}') AS body,
    length(body), lower(hex(SHA256(body))), 0, origin
FROM spans
ARRAY JOIN ['request', 'answer'] AS part
WHERE capture = 'full' AND started_at >= fromUnixTimestamp64Micro({{from_us:Int64}}, 'UTC')
    AND started_at < fromUnixTimestamp64Micro({{to_us:Int64}}, 'UTC')"""


def fill(store: Store, calls: int, until_us: int, say: Callable[[str], None]) -> None:
    """Add so many calls that began in the `DAYS` before a moment, and what was said in every fiftieth of them."""
    first_us = until_us - DAYS * DAY_US
    columns = [row["name"] for row in store.query(f"DESCRIBE ({_CALLS})", _range(0, 1, first_us, calls))]
    insert = f"INSERT INTO spans ({', '.join(columns)}) {_CALLS}"
    began, cpu = time.monotonic(), time.process_time()
    for start in range(0, calls, _STEP):
        store.command(insert, _range(start, min(_STEP, calls - start), first_us, calls))
    for day in range(DAYS):
        from_us = first_us + day * DAY_US
        # the last day ends a moment later than it should: ids are not quite in the order of time
        store.command(
            _PAYLOADS, {"from_us": from_us, "to_us": from_us + DAY_US + 2_000_000 * (day == DAYS - 1)}
        )
    say(f"{calls:,} calls in {time.monotonic() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU")


def _range(start: int, count: int, first_us: int, calls: int) -> dict[str, Parameter]:
    return {"from": start, "count": count, "first_us": first_us, "apart_ns": DAYS * DAY_US * 1000 // calls}
