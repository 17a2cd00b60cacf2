"""What the nodes share; no node is defined here."""
