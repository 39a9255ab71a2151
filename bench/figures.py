"""The rows of the table of results: a ratio or a figure with its spread and its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: its name, the median with its unit, the lowest and highest, and the goal, if there is one."""

    name: str
    value: str
    spread: str = ""
    goal: str = ""

    def __str__(self) -> str:
        """Formats the row in Markdown."""
        return f"| {self.name} | {self.value} | {self.spread} | {self.goal} |"


def ratios(name: str, of: Sequence[float], goal: float | None = None) -> Figure:
    """Summarises the ratios of interleaved rounds; above 1, Forbear is faster."""
    spread = f"{min(of):.2f} to {max(of):.2f} in {len(of)}"
    return Figure(name, f"{statistics.median(of):.2f}x", spread, f"≥ {goal:g}x" if goal else "")


def amounts(name: str, of: Sequence[float], unit: str, goal: str = "") -> Figure:
    """Summarises the amounts of repeated rounds."""
    return Figure(name, f"{statistics.median(of):,.0f} {unit}", f"{min(of):,.0f} to {max(of):,.0f} in {len(of)}", goal)
