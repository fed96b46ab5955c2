"""The packages as they come out of `make rpm`, looked at with the tools that will handle them; no root is needed."""
