"""Reads lists of infringing sites as authorities publish them, and holds back entries that would block too much.

``forbear lists`` calls it to import them, ``forbear report`` for their names. Entries in force are in the database
(``storage.log.lists``).
"""
