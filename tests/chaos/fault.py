"""What a judge finds."""

from dataclasses import dataclass

#: From the reading of the agent's list to the arrival of a request, on a busy machine.
LOOK = 3


@dataclass(frozen=True)
class Fault:
    rule: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.text}"
