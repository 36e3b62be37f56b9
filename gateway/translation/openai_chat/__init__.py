"""OpenAI's chat completions, translated."""
