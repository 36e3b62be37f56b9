"""HTTP/1.1, both sides of it.

As a client, one connection with one request at a time: `request` renders, `reply` parses and keeps the
clocks, `connection` ties both to a transport. `server` is the public port's side.
"""
