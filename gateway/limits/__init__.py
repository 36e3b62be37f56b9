"""How many requests, tokens and calls at once: rules, and the authorities that count."""
