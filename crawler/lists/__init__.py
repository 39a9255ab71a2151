"""Reads lists of infringing sites as authorities publish them, and holds back entries that would shut too much.

``forbear lists`` and ``forbear run`` call it; what is in force is in the database.
"""
