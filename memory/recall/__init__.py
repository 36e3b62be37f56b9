"""Which memories answer a question, over candidates: pure functions, one file for each step."""
