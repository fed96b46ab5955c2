"""What a judge finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    rule: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.text}"
