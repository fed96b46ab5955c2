#!/bin/bash
# User data of a container instance: joins a cluster and starts a task at launch. ecs-start-task is in a repository
# that the image knows.
set -eu

echo ECS_CLUSTER=your_cluster_name >> /etc/ecs/ecs.config

yum install -y ecs-start-task
echo ECS_START_TASK_DEFINITION=my_task_def >> /etc/ecs/ecs-start-task.conf

# --no-block: the ECS agent starts only after user data has ended, so that waiting here would never end.
systemctl enable --now --no-block ecs-start-task
