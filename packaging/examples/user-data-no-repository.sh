#!/bin/bash
# User data for Amazon Linux 2023 or 2, without a yum repository: installs one of the two signed packages from its address, such as
# Artifactory or S3, which the instances must be able to read without credentials. Joins a cluster and starts a task on this
# instance, once per boot.
#
# Replace:
#   your_cluster_name                                the cluster to join
#   my_task_def                                      the task definition to start
#   https://repository.example.com/ecs-start-task    where the packages are
#   the public key                                   what `gpg --armor --export FINGERPRINT` prints
set -eu

# REPLACE these three, and the public key below
cluster=your_cluster_name
task_definition=my_task_def
package=https://repository.example.com/ecs-start-task/ecs-start-task-0.2.0-1.$(uname -m).rpm

# First, so that the instance joins its cluster even when the installation fails.
echo "ECS_CLUSTER=$cluster" >> /etc/ecs/ecs.config

# REPLACE the public key. It must not come from where the packages are: anyone who can replace them could replace the key.
cat > /etc/pki/rpm-gpg/RPM-GPG-KEY-ecs-start-task <<'EOF'
-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: fingerprint 0123456789ABCDEF0123456789ABCDEF01234567

the rest of your public key
-----END PGP PUBLIC KEY BLOCK-----
EOF
rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-ecs-start-task

# Without localpkg_gpgcheck yum does not check the signature of a package that comes from no repository. The network may be late:
# three attempts, then an error in the journal and the console output.
for pause in 10 30 0; do yum install -y --setopt=localpkg_gpgcheck=1 "$package" && break; sleep "$pause"; done
failed="NOT INSTALLED, no task is started: see /var/log/cloud-init-output.log"
rpm --query ecs-start-task || { logger -s -p user.err -t ecs-start-task "$failed"; exit 1; }

echo "ECS_START_TASK_DEFINITION=$task_definition" >> /etc/ecs/ecs-start-task.conf

# --no-block is required: the ECS agent starts only after user data has finished, so a command that waits for the agent or
# the task here waits forever, and the instance never joins the cluster.
systemctl enable --now --no-block ecs-start-task
