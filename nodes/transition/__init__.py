"""Nodes from stages to a film."""
