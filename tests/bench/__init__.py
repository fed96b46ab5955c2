"""make bench: what the program costs, beside the page's commands and against the bars that it is to keep.

Both sides work against the same stand-in on this machine. Nothing here is a timed test: figures that depend on the
machine are medians of runs in turn, given beside the other side's, and only a bar that is missed by more than a third
fails. What does not vary is asserted in tests/test_cost.py as well.
"""
