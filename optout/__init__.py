"""Decides what a crawler may use, from what a site says. Pure: no network, disk, clock or database."""

__version__ = "0.1.0"
