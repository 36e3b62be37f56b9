"""API formats. Pure: bytes in, values or bytes out."""
