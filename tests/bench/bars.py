"""The limits: the maximum of each figure, and by how much it may exceed it on a busy machine before the bench fails."""

import dataclasses
from dataclasses import dataclass

MISSED_TOO_FAR = 4 / 3
MIB = 1024 * 1024


@dataclass
class Bar:
    """One figure and its limit; an exact one must not be exceeded at all."""

    name: str
    value: float
    most: float
    exact: bool = False

    @property
    def verdict(self):
        if self.value <= self.most:
            return "met"
        return "FAILED" if self.exact or self.value > self.most * MISSED_TOO_FAR else "missed"

    def __str__(self):
        return f"{self.name:58}{figure(self.value):>12}{figure(self.most):>12}  {self.verdict}"

    def record(self):
        return dataclasses.asdict(self) | {"verdict": self.verdict}


def figure(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def table(bars):
    return "\n".join([f"{'':58}{'figure':>12}{'at most':>12}", *map(str, bars)])


def exactly(name, value, expected):
    """A limit for what must be exactly so: the figure is the deviation."""
    return Bar(f"{name}: off {expected} by", abs(value - expected), 0, exact=True)
