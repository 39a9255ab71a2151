"""Readers of formats that more than one protocol uses."""
