"""OpenAI's responses, translated."""
