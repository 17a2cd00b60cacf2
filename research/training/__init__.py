"""Trains the embedded networks on real pictures, courses drawn on them, and phantoms."""
