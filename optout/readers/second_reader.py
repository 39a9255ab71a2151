"""Protego 0.7 reads a robots.txt along with us: whether a widely used parser comes to another verdict on a URL."""

from __future__ import annotations

import re
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
_UNESCAPED = re.compile(r"[A-Za-z0-9_.~/=*-]*\$?")
_VALUES = re.compile(r"\?.*[:/?@]")


class SecondReader:
    """Protego's view of a file."""

    def __init__(self, body: bytes) -> None:
        self._protego = Protego.parse(to_utf8(body).decode("utf-8", "replace"))
        self._alike: dict[str, bool] = {}

    def differs(self, agent: str, rules: Rules, target: Target) -> bool:
        """Whether Protego's verdict on a URL is another than that of these rules, which are the agent's.

        Where it has the very same rules, it is asked only about a target that it may spell in another way.
        """
        if agent not in self._alike:
            self._alike[agent] = self._has_the_same(agent, rules)
        text = target.text
        if self._alike[agent] and target.is_plain and not text.startswith("/robots.txt") and not _VALUES.search(text):
            return False
        decisive = rules.matches(rules.covering(target)[:1])
        return self._protego.can_fetch(f"https://host{text}", agent) == bool(decisive and not decisive[0].allows)

    def _has_the_same(self, agent: str, rules: Rules) -> bool:
        """Whether Protego has read the same rules for an agent, and has them decide in the same order.

        What it has read is no public part of it: if that is not there, the two are not alike.
        """
        ours = {(line.key == b"allow", line.value) for line in rules.lines}
        if not all(_READ_ALIKE.fullmatch(value) for _, value in ours):
            return False
        try:
            found = self._protego._get_matching_rule_set(agent)
            theirs = {(rule.field == "allow", rule.value._pattern) for rule in found._rules} if found else set()
        except AttributeError:
            return False
        # A $ at the end is read by Protego as the character too, which no plain target has.
        theirs = {(allows, pattern) for allows, pattern in theirs if not pattern.endswith("%24")}
        spelt = {(allows, _as_protego(value.decode())) for allows, value in ours}
        # It ranks by the length with its escapes: no matter where there are none, or where all rules say the same.
        same_order = len({allows for allows, _ in ours}) < 2 or all(_UNESCAPED.fullmatch(p) for _, p in spelt)
        return spelt == theirs and same_order


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
