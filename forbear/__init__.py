r"""Decides whether a web page may be used, from the machine-readable rights reservations of its site.

    from forbear import Capture, Captures, Question, decide, load_policy

    robots = Capture("https://a.example/robots.txt", 200, body=b"User-agent: *\nDisallow: /a\n")
    answer = decide(Question("https://a.example/a/b"), Captures([robots], complete=True), load_policy())
    print(answer.verdict, answer.reasons[0].quote)  # excluded Disallow: /a

The names in ``__all__`` are the public API. The sub-packages (``forbear.optout``, ``forbear.crawler``, …) may change
between minor versions. A name is imported when it is first used, so ``import forbear`` loads no dependency.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from forbear.optout import __version__

if TYPE_CHECKING:
    from forbear.addon import ForbearAddon
    from forbear.optout.captures import Captures
    from forbear.optout.decide import decide
    from forbear.optout.model import Capture, Decision, Gap, Place, Profile, Question, Reason, Statement, Use, Verdict
    from forbear.optout.policy import Policy
    from forbear.optout.policy import load as load_policy

__all__ = [
    "Capture",
    "Captures",
    "Decision",
    "ForbearAddon",
    "Gap",
    "Place",
    "Policy",
    "Profile",
    "Question",
    "Reason",
    "Statement",
    "Use",
    "Verdict",
    "__version__",
    "decide",
    "load_policy",
]

_MODEL = ("Capture", "Decision", "Gap", "Place", "Profile", "Question", "Reason", "Statement", "Use", "Verdict")
_SOURCES = {name: f"optout.model.{name}" for name in _MODEL} | {
    "Captures": "optout.captures.Captures",
    "ForbearAddon": "addon.ForbearAddon",
    "Policy": "optout.policy.Policy",
    "decide": "optout.decide.decide",
    "load_policy": "optout.policy.load",
}
"""Where each public name is defined, below this package."""


def __getattr__(name: str) -> Any:
    """Imports a public name on its first use (PEP 562)."""
    if name not in _SOURCES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = f"{__name__}.{_SOURCES[name]}".rpartition(".")
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    """Returns the public names."""
    return __all__
