"""The control records: who was given which keys, and who changed what. The hub owns them."""
