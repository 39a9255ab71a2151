"""Is called: one file for each command, thin: parse, call, print."""
