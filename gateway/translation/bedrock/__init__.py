"""Bedrock's Converse, translated; it is only asked, never answered in."""
