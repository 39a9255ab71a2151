"""How a format is read, for more than one protocol."""
