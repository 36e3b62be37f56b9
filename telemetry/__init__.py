"""What happened: the journal, the ledger it becomes, and the ways to ask about it."""
