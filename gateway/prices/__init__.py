"""What a token costs, and what a call cost, in integers."""
