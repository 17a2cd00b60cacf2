"""Figures of a progression: what the classifier reads, how near the patient stays, what changed."""
