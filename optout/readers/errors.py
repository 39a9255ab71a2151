"""The errors of readers: something that may hold a reservation cannot be read."""


class Unreadable(ValueError):
    """It exists and cannot be read; the message is one sentence that says why."""


class TooMuch(Unreadable):
    """It has so many parts that readers in native code may take very long."""
