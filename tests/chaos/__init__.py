"""make chaos: random schedules of faults, kills and second runs against the built binary, and a judge that counts the tasks.

A seed is a schedule: `schedule` draws it, `world` runs it, `judge` says what violated the contract. Many run at once in one
process, because they mostly wait. `make chaos SEED=n` replays one and shows everything that happened.
"""
