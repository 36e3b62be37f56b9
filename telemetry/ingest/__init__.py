"""Logs that somebody sends us about calls made elsewhere."""
