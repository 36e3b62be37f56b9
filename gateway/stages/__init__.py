"""The steps of `gateway.pipeline`, one file each; they do not know each other."""
