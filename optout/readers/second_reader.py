"""Protego 0.7 reads a robots.txt along with us: whether a widely used parser comes to another verdict on a URL."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from protego import Protego

from optout.model import Capture
from optout.readers.pattern import Target
from optout.readers.robots_txt import RobotsTxt, Rules
from optout.readers.text import to_utf8

MOST_OCTETS = 65_536
MOST_COST = 200_000
"""Protego files each rule with each agent of its group: its time grows with the product."""

# Patterns and targets that both readers take as they are written, but for the escapes that Protego adds on both sides.
_READ_ALIKE = re.compile(rb"[/*][A-Za-z0-9_~!()+,;=:@&/?.*-]*\$?")
# Our reader escapes what is reserved in the values of a query, and what Protego takes for the rules' own file is open.
_SPELT_OTHERWISE = re.compile(r"[^?]*\?.*[:/?@]|/robots\.txt").match


class SecondReader:
    """Protego's view of a file."""

    def __init__(self, body: bytes) -> None:
        self._protego = Protego.parse(to_utf8(body).decode("utf-8", "replace"))
        self._beside: dict[str, Beside] = {}

    def beside(self, rules: Rules, agent: str) -> Beside:
        """The same beside our view, which is these rules of an agent."""
        if agent not in self._beside:
            self._beside[agent] = Beside(self._protego, rules, agent)
        return self._beside[agent]


class Beside:
    """Protego's view of a file beside the rules that we see in it for an agent."""

    def __init__(self, protego: Protego, rules: Rules, agent: str) -> None:
        self._protego, self._rules, self._agent = protego, rules, agent
        self._apart = _apart(protego, rules, agent)

    def differs(self, target: Target) -> bool:
        """Whether Protego's verdict on a URL is another than that of the rules."""
        if not self._may_differ(target):
            return False
        decisive = self._rules.matches(self._rules.covering(target)[:1])
        shut = bool(decisive) and not decisive[0].allows
        return self._protego.can_fetch(f"https://host{target.text}", self._agent) == shut

    def _may_differ(self, target: Target) -> bool:
        """Whether Protego may spell the target otherwise, whether a rule covers it that only one of the two has read.

        And whether there are rules for and against it, which Protego ranks by their length with all escapes.
        """
        if self._apart is None or not target.is_plain or _SPELT_OTHERWISE(target.text):
            return True
        ours, theirs = self._apart
        covering = self._rules.covering(target)
        if covering:
            matches = self._rules.matches(covering)
            if any(match.line.start in ours or match.allows != matches[0].allows for match in matches):
                return True
        if theirs:
            spelt = quote(target.text, safe="/=")
            return any(pattern.match(spelt) for pattern in theirs)
        return False


def _apart(protego: Protego, rules: Rules, agent: str) -> tuple[set[int], list[Any]] | None:
    """Which of our rules for an agent Protego has not read, by where they start, and its patterns that we have not.

    What it has read is no public part of it: nothing is known if that is not there.
    """
    try:
        found = protego._get_matching_rule_set(agent)
        theirs = {(rule.field == "allow", rule.value._pattern): rule.value for rule in found._rules} if found else {}
    except AttributeError:
        return None
    ours = {
        (line.key == b"allow", _as_protego(line.value.decode())): line.start
        for line in rules.lines
        if _READ_ALIKE.fullmatch(line.value)
    }
    both = ours.keys() & theirs.keys()
    # A $ at the end is read by Protego as the character too, which no plain target has.
    more = [pattern for key, pattern in theirs.items() if key not in both and not key[1].endswith("%24")]
    return {line.start for line in rules.lines} - {ours[key] for key in both}, more


def _as_protego(pattern: str) -> str:
    anchored = pattern.endswith("$")
    return quote(pattern.removesuffix("$"), safe="/%*=") + "$" * anchored


def of(capture: Capture, file: RobotsTxt) -> SecondReader | None:
    """The second reader of a file, or nothing for one that would keep it busy; made once for each capture."""
    if "protego" not in capture.memo:
        cost = sum(group.names * len(group.rules) for group in file.groups)
        quick = len(capture.body) <= MOST_OCTETS and cost <= MOST_COST
        capture.memo["protego"] = SecondReader(capture.body) if quick else None
    reader: SecondReader | None = capture.memo["protego"]
    return reader
