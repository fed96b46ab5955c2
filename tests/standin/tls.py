"""A certificate authority of its own for ECS over TLS.

The names are those the client asks for; nothing on the machine trusts the authority unless its bundle is named.
"""

import ssl

import trustme

ISSUER = "ecs-start-task test authority"


class Authority:
    def __init__(self, directory, *names, **validity):
        self.ca = trustme.CA(organization_name=ISSUER)
        self.bundle = directory / "authority.pem"
        self.ca.cert_pem.write_to_path(self.bundle)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issued = self.ca.issue_cert(*(names or ("127.0.0.1",)), **validity)
        self.issued.configure_cert(self.context)
