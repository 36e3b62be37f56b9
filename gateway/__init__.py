"""The proxy, its processes and the command line."""
