"""Composition roots: the only places that build the objects of a process."""
