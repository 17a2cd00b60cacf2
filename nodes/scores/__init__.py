"""Nodes that score a progression."""
