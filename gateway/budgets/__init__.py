"""Budgets: what a key, a user, a team or a project may spend in a calendar window, held by one authority in the hub."""
