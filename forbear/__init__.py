"""Obeys machine-readable rights reservations, and can show it: what other programs may rely on.

Everything else is in the rooms below (``forbear.optout``, ``forbear.storage``, ``forbear.crawler``, …) and may change.
Names are loaded when they are used, so that ``import forbear`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from forbear.optout import __version__

if TYPE_CHECKING:
    from forbear.addon import ForbearAddon
    from forbear.optout.captures import Captures
    from forbear.optout.decide import decide
    from forbear.optout.model import Capture, Decision, Profile, Question, Use, Verdict
    from forbear.optout.policy import Policy
    from forbear.optout.policy import load as load_policy

__all__ = [
    "Capture",
    "Captures",
    "Decision",
    "ForbearAddon",
    "Policy",
    "Profile",
    "Question",
    "Use",
    "Verdict",
    "__version__",
    "decide",
    "load_policy",
]

_FROM = {
    "Capture": "optout.model.Capture",
    "Captures": "optout.captures.Captures",
    "Decision": "optout.model.Decision",
    "ForbearAddon": "crawler.addon.ForbearAddon",
    "Policy": "optout.policy.Policy",
    "Profile": "optout.model.Profile",
    "Question": "optout.model.Question",
    "Use": "optout.model.Use",
    "Verdict": "optout.model.Verdict",
    "decide": "optout.decide.decide",
    "load_policy": "optout.policy.load",
}


def __getattr__(name: str) -> Any:
    """A public name, from the room that it is in (PEP 562)."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = f"{__name__}.{_FROM[name]}".rpartition(".")
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    """The public names."""
    return __all__
