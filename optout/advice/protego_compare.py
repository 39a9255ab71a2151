"""Reads a robots.txt with Protego 0.7 as well, for its owner: a widely used parser may come to another verdict."""

from __future__ import annotations

from protego import Protego

from forbear.optout.captures import Captures, Hop
from forbear.optout.model import NEVER, Gap, Question
from forbear.optout.protocols import robots
from forbear.optout.readers import robots_txt
from forbear.optout.readers import url as urls
from forbear.optout.readers.pattern import Target
from forbear.optout.readers.text import to_utf8

DIFFERENT_READING = "A widely used parser reads this otherwise"
"""The beginning of the remark's detail, by which `forbear check` recognises it."""

MOST_OCTETS = 65_536
MOST_COST = 200_000
"""User-agent lines times all other lines. Protego files each rule with each agent of its group, and which lines make
a group is its own affair: this is the most that it can have to do, about a second."""


def other_reading(question: Question, captures: Captures) -> Gap | None:
    """Returns a remark for the owner if Protego reads the robots.txt of the URL otherwise; it changes no verdict.

    None if both agree, if the robots.txt is missing, or if Protego would take long. Raises NotAUrl.
    """
    url = urls.parse(question.url)
    hop = Hop(question, url, captures)
    capture, target = robots.capture_of(hop), Target(url.target)
    if capture is None or robots.is_robots_txt(target) or len(capture.body) > MOST_OCTETS:
        return None
    text = to_utf8(capture.body).decode("utf-8", "replace")
    lines = text.splitlines()
    agents = sum(line.lstrip()[:4].lower() == "user" for line in lines)
    if agents * (len(lines) - agents) > MOST_COST:
        return None
    file = robots_txt.parse(capture)
    decisive = next(iter(file.rules_for(question.agent).matching(target)), None)
    shut = decisive is not None and not decisive.allows
    if Protego.parse(text).can_fetch(f"https://host{target.text}", question.agent) != shut:
        return None
    words = ("shuts", "allows") if shut else ("allows", "shuts")
    detail = (
        f"{DIFFERENT_READING}: by RFC 9309 this file {words[0]} the URL, Protego 0.7 takes it that it {words[1]} it."
    )
    quote, where = (file.quote(decisive.line), file.where(decisive.line)) if decisive else ("no rule", "whole file")
    return Gap(robots.NAME, quote, file.source, where, detail, NEVER)
