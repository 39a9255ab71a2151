"""The JSON API for programs with a token (``forbear user token``).

It calls the same functions as the pages behind the sign-in, and writes down the same visits.
"""
