"""The shipped examples as they are read: user data by cloud-init, the .repo file by yum, the rest by people."""

import email
import email.policy
import re
import textwrap

from standin.program import ROOT

EXAMPLES = ROOT / "packaging/examples"
USER_DATA = (EXAMPLES / "user-data.txt").read_text()
CLOUD_CONFIG = (EXAMPLES / "cloud-config.yaml").read_text()
GOLDEN_AMI = (EXAMPLES / "golden-ami.sh").read_text()
NO_REPOSITORY = (EXAMPLES / "user-data-no-repository.sh").read_text()
#: The address in the examples, and the public key, which a reader replaces.
REPOSITORY = "https://repository.example.com/ecs-start-task"
PUBLIC_KEY = re.compile("^( *)(-----BEGIN PGP PUBLIC KEY BLOCK-----\n.*?\n *-----END PGP PUBLIC KEY BLOCK-----)$", re.MULTILINE | re.DOTALL)


def parts(user_data):
    """[(type, text)] of a MIME multi-part, which must be free of defects."""
    message = email.message_from_string(user_data, policy=email.policy.default.clone(raise_on_defect=True))
    return [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]


def script(user_data=USER_DATA):
    """The one script of the user data."""
    [(kind, text)] = parts(user_data)
    assert kind == "text/x-shellscript"
    return text


def users_part(golden_ami=GOLDEN_AMI):
    """The user data for instances of the golden AMI, from the comment of the example."""
    return "".join(re.findall(r"^#   (.*\n)", golden_ami.partition("only this:\n")[2], re.MULTILINE))


def filled_in(example, repository, public_key):
    """The example with this address and this public key, indented like the one that it replaces."""
    example = PUBLIC_KEY.sub(lambda found: textwrap.indent(public_key.strip(), found[1]), example)
    return example.replace(REPOSITORY, repository)
