"""Nodes that save a progression."""
