"""make chaos: random schedules of faults, kills and second runs against the built binary, and a judge that counts the tasks.

A seed is a schedule: `schedule` draws it, `world` plays it, `judge` says what was not as the contract has it. Many are played
at once in one process, as they mostly wait. `make chaos SEED=n` plays one again and shows everything that happened.
"""
