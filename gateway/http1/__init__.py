"""HTTP/1.1 as a client speaks it: one connection, one request at a time.

`request` renders, `reply` parses and keeps the clocks, `connection` ties both to a transport.
"""
