"""Decides what a crawler may use, from what a site said: no network, no disk, no clock, no database."""

__version__ = "0.1.0"
