"""The packages as they come out of `make rpm`, examined with the tools that will handle them; no root is needed."""
