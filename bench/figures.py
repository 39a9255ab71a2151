"""What is measured, as rows of one table: a ratio or a figure with its spread, beside what it should reach."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: what it is, the median, lowest and highest with their unit, and the goal, empty if there is none."""

    name: str
    value: str
    spread: str = ""
    goal: str = ""

    def __str__(self) -> str:
        """As a row of Markdown."""
        return f"| {self.name} | {self.value} | {self.spread} | {self.goal} |"


def ratios(name: str, of: Sequence[float], goal: float | None = None) -> Figure:
    """Ratios of interleaved rounds; above 1 Forbear is the faster one."""
    spread = f"{min(of):.2f} to {max(of):.2f} in {len(of)}"
    return Figure(name, f"{statistics.median(of):.2f}x", spread, f"≥ {goal:g}x" if goal else "")


def amounts(name: str, of: Sequence[float], unit: str, goal: str = "") -> Figure:
    """Amounts of repeated rounds."""
    return Figure(name, f"{statistics.median(of):,.0f} {unit}", f"{min(of):,.0f} to {max(of):,.0f} in {len(of)}", goal)
