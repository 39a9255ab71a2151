"""The JSON API for programs with a token (``forbear user token``).

It calls the same functions as the pages behind the sign-in, and records them in the same access log.
"""
