"""Measures Forbear, and compares it with its peers in one run, as ratios."""
