"""Procedural patients whose anatomy and disease are separate, so that the true future image is known."""
