"""How to opt out, ready to copy: for each protocol that the policy in force honours, each of its places."""

from __future__ import annotations

from dataclasses import dataclass

from forbear.optout.model import Profile, StatementStatus
from forbear.optout.policy import Effect, Policy

HEADER, HEAD, METADATA = "response header of each page", "in the head of each page", "inside the file"
"""Where a text goes that is no file of its own; of a file, its path is said."""


@dataclass(frozen=True, slots=True)
class Part:
    """A text, and where it goes: the path of a file, or one of HEADER, HEAD, METADATA."""

    goes: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """One way to say no: all its parts together exclude the whole site, or the file they are put into."""

    protocol: str
    parts: tuple[Part, ...]
    note: str = ""


_RSL = """<?xml version="1.0" encoding="UTF-8"?>
<rsl xmlns="https://rslstandard.org/rsl">
  <content url="/">
    <license>
      <prohibits type="usage">ai-train</prohibits>
    </license>
  </content>
</rsl>
"""
_TDMREP = """[
  { "location": "/", "tdm-reservation": 1 }
]
"""
_XMP = """<rdf:Description rdf:about="" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"
  plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"/>
"""
_C2PA = """{
  "label": "cawg.training-mining",
  "data": {
    "entries": {
      "cawg.ai_training": { "use": "notAllowed" },
      "cawg.ai_generative_training": { "use": "notAllowed" },
      "cawg.data_mining": { "use": "notAllowed" }
    }
  }
}
"""


def examples(policy: Policy, profile: Profile, agent: str) -> list[Example]:
    """The examples of protocols whose reservations exclude in this profile, in the order of the policy."""
    wanted = [name for name, entry in policy.protocols.items() if _excludes(policy, name, profile) and entry.licensable]
    return [example for name in wanted for example in _all(policy, agent) if example.protocol == name]


def _excludes(policy: Policy, name: str, profile: Profile) -> bool:
    return policy.protocols[name].effects[profile, str(StatementStatus.STANDING)] is Effect.EXCLUDES


def _all(policy: Policy, agent: str) -> list[Example]:
    def robots(text: str) -> Part:
        return Part("/robots.txt", text)

    tokens = [
        Example("usage-token", (robots(f"User-agent: {token}\nDisallow: /\n"),)) for token in policy.purpose_tokens
    ]
    return [
        Example("robots", (robots(f"User-agent: {agent}\nDisallow: /\n"),), "This crawler alone is shut out."),
        *tokens,
        Example("aipref", (robots("User-agent: *\nContent-Usage: train-ai=n\nAllow: /\n"),)),
        Example("aipref", (Part(HEADER, "Content-Usage: train-ai=n\n"),)),
        Example("content-signal", (robots("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n"),)),
        Example(
            "rsl",
            (
                robots("License: https://example.org/license.xml\nUser-agent: *\nAllow: /\n"),
                Part("/license.xml", _RSL),
            ),
            "Both files; the first names the second by its full address.",
        ),
        Example("tdmrep", (Part("/.well-known/tdmrep.json", _TDMREP),)),
        Example("tdmrep", (Part(HEADER, "tdm-reservation: 1\n"),)),
        Example("tdmrep", (Part(HEAD, '<meta name="tdm-reservation" content="1">\n'),)),
        Example("robots-meta", (Part(HEADER, "X-Robots-Tag: noai, noimageai\n"),)),
        Example("robots-meta", (Part(HEAD, '<meta name="robots" content="noai, noimageai">\n'),)),
        Example("ai-txt", (Part("/ai.txt", "User-Agent: *\nDisallow: /\n"),)),
        Example("trust-txt", (Part("/trust.txt", "datatrainingallowed=no\n"),)),
        Example("iptc", (Part(METADATA, _XMP),), "XMP of an image or document; with ExifTool: -XMP-plus:DataMining."),
        Example("c2pa", (Part(METADATA, _C2PA),), "An assertion of the file's signed manifest."),
    ]
