"""The units of Amazon Linux that decide the order of a boot.

ecs.service is that of the ecs-init package, with ECS_INIT in place of its program; docker only sleeps. cloud-init's final
stage runs user data; it is not ordered after multi-user.target there, as it is on Debian.
"""

import re

ECS_INIT = '#!/bin/sh\n[ "$1" != start ] || exec sleep infinity\n'

UNITS = {
    "docker.service": """
        [Unit]
        After=network-online.target
        Wants=network-online.target
        [Service]
        Type=simple
        ExecStart=/usr/bin/sleep infinity
        [Install]
        WantedBy=multi-user.target
    """,
    "ecs.service": """
        [Unit]
        Wants=docker.service
        PartOf=docker.service
        After=docker.service
        After=cloud-final.service
        [Service]
        Type=simple
        Restart=on-failure
        RestartPreventExitStatus=5
        RestartSec=10s
        EnvironmentFile=-/etc/ecs/ecs.config
        ExecStartPre=/bin/bash -c 'if [ $(/usr/bin/systemctl is-active docker) != "active" ]; then exit 1; fi'
        ExecStartPre=/usr/libexec/amazon-ecs-init pre-start
        ExecStart=/usr/libexec/amazon-ecs-init start
        ExecStop=/usr/libexec/amazon-ecs-init stop
        ExecStopPost=/usr/libexec/amazon-ecs-init post-stop
        [Install]
        WantedBy=multi-user.target
    """,
    "cloud-config.service": """
        [Unit]
        After=network-online.target cloud-config.target
        Wants=network-online.target cloud-config.target
        [Service]
        Type=oneshot
        ExecStart=/bin/true
        RemainAfterExit=yes
        [Install]
        WantedBy=cloud-init.target
    """,
    "cloud-final.service": """
        [Unit]
        After=network-online.target cloud-config.service rc-local.service
        Wants=network-online.target cloud-config.service
        [Service]
        Type=oneshot
        ExecStart=-/var/lib/cloud/user-data
        RemainAfterExit=yes
        TimeoutSec=0
        KillMode=process
        StandardOutput=append:/var/log/cloud-init-output.log
        StandardError=inherit
        [Install]
        WantedBy=cloud-init.target
    """,
    "cloud-config.target": "[Unit]",
    # A generator of cloud-init makes multi-user.target want it.
    "cloud-init.target": "[Unit]\nAfter=multi-user.target\n[Install]\nWantedBy=multi-user.target",
}


def write_units(directory, units):
    """The units, enabled as their [Install] sections say."""
    for name, text in units.items():
        text = re.sub(r"^ +", "", text, flags=re.MULTILINE)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text + "\n")
        for target in re.findall(r"^WantedBy=(.*)$", text, re.MULTILINE):
            wants = directory / f"{target}.wants"
            wants.mkdir(exist_ok=True)
            (wants / name).symlink_to(f"../{name}")
