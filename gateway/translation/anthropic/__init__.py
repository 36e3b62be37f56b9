"""Anthropic's messages, translated."""
