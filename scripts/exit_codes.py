"""The exit codes that all commands share; what 1 and 3 mean is part of each command's help."""

USAGE = 2
"""A wrong argument or settings file, as in click."""

FAILED = 4
"""Something outside of Forbear failed (database, disk, network), or Forbear has a bug; the message says which."""

INTERRUPTED = 130
"""128 + SIGINT, as in shells."""
