"""What everything that is made here says of itself, in every format."""

STATEMENT = "Simulated disease progression. Not a medical record and not for diagnosis."
