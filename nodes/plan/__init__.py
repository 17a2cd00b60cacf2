"""Nodes from a report to a progression plan."""
