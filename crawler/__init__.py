"""Fetches pages and the files with their reservations, decides about them, and writes the corpus."""
