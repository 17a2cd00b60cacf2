"""What a person could be told by, in a folded report: names, dates, numbers and contacts, places."""
