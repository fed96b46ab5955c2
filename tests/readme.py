"""The README as its readers follow it: each command block runs in a test, unchanged except for the names to replace."""

import re

from standin.program import ROOT

README = (ROOT / "README.md").read_text()


def command_blocks(text=README):
    """{(heading, number of the block below it): commands}"""
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        for number, block in enumerate(re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)):
            found[heading, number] = block
    return found


def readme_block(heading, number=0):
    """The commands of one block, for a test that runs them. Another test finds these calls, to see which blocks are run."""
    return command_blocks()[heading, number]
