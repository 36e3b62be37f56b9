    call_id, kind, project, environment, key_id, user_id, agent_id, event_id, event_id_made, thread_id, trace_id,
    parent_span_id, step, tags, properties, surface, operation, model, route, stream, status, http_status,
    error_type, error_code, error_message, provider, deployment, served_model, response_model, response_id,
    finish_reason, attempt_count, attempts, parameters, request_bytes, response_bytes, capture,
    toUnixTimestamp64Micro(spans.started_at) AS started_at_us, first_byte_us, first_token_us, total_us, overhead_us,
    input_uncached, cache_read, cache_write_5m, cache_write_1h, input_audio, input_image,
    output_text, output_reasoning, output_audio, output_image, web_searches, input_tokens, output_tokens, service_tier, usage_source, raw_usage,
    cost_nano_usd, cost_lower_nano_usd, cost_upper_nano_usd, cost_lines, cache_saved_nano_usd, cost_reason, price_row, price_version, gateway,
    memory_switch, memory_status, memory_ids, memory_scores, memory_tokens, memory_latency_us
