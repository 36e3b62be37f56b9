"""Where memories are kept: a ledger that is the truth, and an index that can be rebuilt from it."""
