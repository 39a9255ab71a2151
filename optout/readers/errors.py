"""The one failure that readers of pages, books and packets have: what should hold a reservation cannot be read."""


class Unreadable(ValueError):
    """It is there and cannot be read; the message is one sentence on why."""


class TooMuch(Unreadable):
    """It has more parts than are counted here; readers in native code may take very long for them."""
