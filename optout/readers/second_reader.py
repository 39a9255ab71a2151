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
        self._has_the_same = _has_the_same(protego, rules, agent)
        self._says_one_thing = len({line.key for line in rules.lines}) < 2

    def differs(self, target: Target) -> bool:
        """Whether Protego's verdict on a URL is another than that of the rules.

        Where it has read the very same rules, it is not asked about a target that it spells as we do, unless there are
        rules for and against it: Protego ranks them by their length with all escapes.
        """
        same = self._has_the_same and target.is_plain and not _SPELT_OTHERWISE(target.text)
        if same and (self._says_one_thing or len(self._rules.covering(target)) < 2):
            return False
        matches = self._rules.matching(target)
        shut = bool(matches) and not matches[0].allows
        if same and all(match.allows != shut for match in matches):
            return False
        return self._protego.can_fetch(f"https://host{target.text}", self._agent) == shut


def _has_the_same(protego: Protego, rules: Rules, agent: str) -> bool:
    """Whether Protego has read the same rules for an agent.

    What it has read is no public part of it: if that is not there, the two are not the same.
    """
    ours = {(line.key == b"allow", line.value) for line in rules.lines}
    if not all(_READ_ALIKE.fullmatch(value) for _, value in ours):
        return False
    try:
        found = protego._get_matching_rule_set(agent)
        theirs = {(rule.field == "allow", rule.value._pattern) for rule in found._rules} if found else set()
    except AttributeError:
        return False
    # A $ at the end is read by Protego as the character too, which no plain target has.
    theirs = {(allows, pattern) for allows, pattern in theirs if not pattern.endswith("%24")}
    return theirs == {(allows, _as_protego(value.decode())) for allows, value in ours}


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
