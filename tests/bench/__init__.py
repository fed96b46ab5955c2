"""make bench: what the program costs, compared with the commands of AWS's page and with its limits.

Both sides use the same stand-in on this machine. Nothing here is a timed test: figures that depend on the machine are medians of
alternating runs, shown next to the other side's, and only a limit that is exceeded by more than a third fails. What does not
vary is also asserted in tests/test_cost.py.
"""
