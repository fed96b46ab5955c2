#!/bin/sh
# Bakes a golden AMI: run as root on an instance of the ECS-optimized AMI, last, before the image is taken (a shell
# provisioner of Packer, a component of EC2 Image Builder).
#
# What stays for the user data of the instances is the cluster, and nothing that waits:
#
#   #!/bin/sh
#   echo ECS_CLUSTER=your_cluster_name >> /etc/ecs/ecs.config
#
# Where instances of one image start different tasks, ECS_START_TASK_DEFINITION moves there too.
set -eu

# --- Installed and enabled ---

cat > /etc/yum.repos.d/ecs-start-task.repo <<'EOF'
[ecs-start-task]
name=ecs-start-task
baseurl=https://repository.example.com/ecs-start-task
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=https://repository.example.com/ecs-start-task/RPM-GPG-KEY-ecs-start-task
EOF
yum install -y ecs-start-task
yum clean all

echo ECS_START_TASK_DEFINITION=my_task_def >> /etc/ecs/ecs-start-task.conf

# Not --now: the task belongs to the instances of the image. Each boot of theirs starts the unit after ecs.service, which
# starts after user data.
systemctl enable ecs-start-task

# --- Not left in the image ---
# ecs-start-task itself leaves nothing: its records are in /run, which no image has.

# The agent's checkpoint: an agent that finds another cluster in it than its own ends at once. It is written anew unless
# the agent is stopped first.
systemctl stop ecs
rm -rf /var/lib/ecs/data/*
# The cluster that this instance was in.
sed -i '/^ECS_CLUSTER=/d' /etc/ecs/ecs.config

# The logs of this instance, and what user data and cloud-init left, secrets in user data among it.
rm -rf /var/log/ecs/*
cloud-init clean --logs

# Credentials, keys and the identity of this machine. The instances have their role for credentials.
rm -rf /root/.aws /home/*/.aws /root/.docker /home/*/.docker
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /etc/ssh/ssh_host_*
: > /etc/machine-id
