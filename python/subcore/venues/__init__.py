"""subcore.venues."""
