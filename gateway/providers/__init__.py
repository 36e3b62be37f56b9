"""Companies and servers that answer: how to ask each, and how to read its refusals. Pure."""
