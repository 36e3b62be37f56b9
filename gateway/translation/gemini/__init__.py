"""Gemini's generateContent, translated."""
