"""Looking after the ledger: is it whole, what does it cost after all, how long is it kept, who is forgotten."""
