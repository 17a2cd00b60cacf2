"""Trains the embedded networks on phantoms."""
