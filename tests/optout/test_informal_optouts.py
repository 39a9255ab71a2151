"""Plain wishes in words of no specification: what a line wants, and that a file of any shape costs little."""

from __future__ import annotations

import pytest

from forbear.optout.model import Preference
from forbear.optout.readers import informal_optouts
from tests.line_counter import PER_OCTET, steps

LINES = [
    # line, what it wants
    ("Training: deny", "disallow"),
    ("Allow-training: no", "disallow"),
    ("AI_Training = false", "disallow"),
    ("training: not allowed", "disallow"),
    ("Training: no, thank you", "disallow"),
    ("*:no-training", "disallow"),
    ("Disallow-AI: /", "disallow"),
    ("Disallow-AI-Training: yes", "disallow"),
    ("DisallowAITraining", "disallow"),
    ("Disallow AI-training", "disallow"),
    ("Disallow: AI training, fine-tuning", "disallow"),
    ("Disallow-Purpose: fine-tuning, training", "disallow"),
    ("No AI training", "disallow"),
    ("NoML", "disallow"),
    ("Noai:", "disallow"),
    ("tdm-reservation: 1", "disallow"),
    ("reserved=true", "disallow"),
    ("train-genai=n", "disallow"),
    ("train-genai: no", "disallow"),
    ("ai-training: yes", "allow"),
    ("Allow: training", "allow"),
    ("tdm-reservation: 0", "allow"),
    ("Disallow-AI:", None),
    ("Disallow-AI: false", None),
    ("Training: conditional", None),
    ("Usage: training", None),
    ("Disallow: /ai", None),
    ("Disallow: /training", None),
    ("User-agent: GPTBot", None),
    ("Crawl-delay: 1", None),
    ("Sitemap: https://archive.example/no-ai.xml", None),
    ("nofollow", None),
    ("notranslate", None),
    ("reservation: Friday", None),
    ("", None),
]


@pytest.mark.parametrize(("line", "wanted"), LINES)
def test_line(line, wanted):
    assert informal_optouts.in_line(line) == wanted


def test_lines_of_a_file():
    body = "\ufeffContact: x\r# Training: deny\r\n\r\n  Training: deny # all\nNoai\n".encode()
    assert [(wish.quote, wish.where, wish.preference) for wish in informal_optouts.in_lines(body)] == [
        ("Training: deny", "line 4", Preference.DISALLOW),
        ("Noai", "line 5", Preference.DISALLOW),
    ]


HOSTILE = [
    b"a" * 1_000_000,
    b"training:" * 100_000,
    b"no " * 300_000,
    b"training: \n" * 90_000,
    b" \t" * 500_000 + b"x",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_bounded(body):
    assert len(list(informal_optouts.in_lines(body))) <= informal_optouts.MOST
    assert steps(lambda: list(informal_optouts.in_lines(body))) < PER_OCTET * len(body)
