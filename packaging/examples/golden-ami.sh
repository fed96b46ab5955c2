#!/bin/sh
# Bakes a golden AMI. Run it as root on an instance of the ECS-optimized AMI, as the last step before the image is taken: as a shell
# provisioner of Packer, or by hand.
#
# Replace:
#   my_task_def                                      the task definition to start
#   https://repository.example.com/ecs-start-task    the yum repository
#   the public key                                   RPM-GPG-KEY-ecs-start-task, which `make repo` wrote
#   your_cluster_name                                the cluster to join, in the user data of the instances, which is only this:
#
#   #!/bin/sh
#   echo ECS_CLUSTER=your_cluster_name >> /etc/ecs/ecs.config
#
# If instances of one image start different tasks, put ECS_START_TASK_DEFINITION into the user data as well.
set -eu

# --- Installed and enabled ---

# REPLACE the public key. It must not come from the repository: anyone who can replace the packages there can replace the key.
cat > /etc/pki/rpm-gpg/RPM-GPG-KEY-ecs-start-task <<'EOF'
-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: fingerprint 0123456789ABCDEF0123456789ABCDEF01234567

the rest of your public key
-----END PGP PUBLIC KEY BLOCK-----
EOF

# REPLACE https://repository.example.com/ecs-start-task
cat > /etc/yum.repos.d/ecs-start-task.repo <<'EOF'
[ecs-start-task]
name=ecs-start-task
baseurl=https://repository.example.com/ecs-start-task/
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-ecs-start-task
EOF
yum install -y ecs-start-task
yum clean all

# REPLACE my_task_def
echo ECS_START_TASK_DEFINITION=my_task_def >> /etc/ecs/ecs-start-task.conf

# Not --now: the task is for the instances that are launched from the image. At each of their boots the unit starts after
# ecs.service, which starts after user data.
systemctl enable ecs-start-task

# --- Not left in the image ---
# ecs-start-task itself leaves nothing behind: its records are in /run, which is not part of an image.
#
# What is deleted here can still be read from the free blocks of the snapshot, so never put a secret on this machine.

# The agent's checkpoint: the agent exits if it finds a cluster there that is not the one in its settings. It is stopped first,
# because it would write the file again.
systemctl stop ecs
rm -rf /var/lib/ecs/data/*
# The cluster of this instance. Check what else is in this file, such as ECS_ENGINE_AUTH_DATA.
sed -i '/^ECS_CLUSTER=/d' /etc/ecs/ecs.config

# Credentials and keys of users, and what they typed. The instances get credentials from their role, and authorized keys from
# cloud-init.
for home in /root /home/*; do
    rm -rf "${home}/.aws" "${home}/.docker" "${home}/.ssh" "${home}/.gnupg" "${home}/.netrc" "${home}/.git-credentials" "${home}/.config"
    rm -rf "${home}"/.*_history "${home}/.lesshst" "${home}/.viminfo" "${home}/.cache"
done

# The identity of this machine: SSH host keys, registration with Systems Manager, machine ID, host name, random seeds, docker's ID.
# systemd-random-seed is stopped first, because it saves a seed when it stops.
systemctl stop systemd-random-seed
rm -f /etc/ssh/ssh_host_*
rm -rf /var/lib/amazon/ssm/*
: > /etc/machine-id
rm -f /etc/hostname /var/lib/systemd/random-seed /boot/efi/loader/random-seed /var/lib/systemd/credential.secret
rm -f /var/lib/docker/engine-id /etc/docker/key.json
rm -rf /var/lib/dhclient/* /var/lib/NetworkManager/*

# User data, which may hold secrets, and what cloud-init made of it.
cloud-init clean
# All logs, the journal and the audit log included. The journal continues in /run; otherwise journald would write a new one at
# the next line, with the host name. journalctl of Amazon Linux 2 lacks the option. Other daemons write to the deleted files.
journalctl --relinquish-var || true
find /var/log -type f -delete
# Last, as this script may be in one of them.
find /tmp /var/tmp -mindepth 1 -delete
