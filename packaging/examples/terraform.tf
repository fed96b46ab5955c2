# An Auto Scaling group whose instances join a cluster and start a task, once per boot. user-data.txt must be in the same directory.
#
# Replace, as variables of `terraform apply`:
#   cluster            the cluster to join
#   task_definition    the family of the task definition to start
#   repository         the yum repository with ecs-start-task
#   repository_key     the public key: file("RPM-GPG-KEY-ecs-start-task"), the file that `make repo` wrote
#   subnets            where the instances run
#   security_groups    security groups that let them reach the ECS endpoints and the repository
#   task_roles         task role and execution role of the task definition, if it has them

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "cluster" {
  type = string
}

variable "task_definition" {
  type = string
}

variable "repository" {
  type = string
}

variable "repository_key" {
  type = string
}

variable "subnets" {
  type = list(string)
}

variable "security_groups" {
  type = list(string)
}

variable "task_roles" {
  type    = list(string)
  default = []
}

data "aws_partition" "this" {}
data "aws_region" "this" {}
data "aws_caller_identity" "this" {}

data "aws_ssm_parameter" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
}

locals {
  ecs             = "arn:${data.aws_partition.this.partition}:ecs:${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}"
  with_cluster    = replace(file("${path.module}/user-data.txt"), "your_cluster_name", var.cluster)
  with_task       = replace(local.with_cluster, "my_task_def", var.task_definition)
  with_repository = replace(local.with_task, "https://repository.example.com/ecs-start-task", var.repository)
  user_data       = replace(local.with_repository, "/(?s)-----BEGIN PGP.*BLOCK-----/", trimspace(var.repository_key))
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# policy.json
data "aws_iam_policy_document" "start_task" {
  statement {
    actions   = ["ecs:StartTask"]
    resources = ["${local.ecs}:task-definition/${var.task_definition}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = ["${local.ecs}:cluster/${var.cluster}"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "ecs:enable-execute-command"
      values   = ["true"]
    }
  }

  statement {
    actions   = ["ecs:DescribeTasks"]
    resources = ["${local.ecs}:task/${var.cluster}/*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = ["${local.ecs}:cluster/${var.cluster}"]
    }
  }

  dynamic "statement" {
    for_each = length(var.task_roles) > 0 ? [1] : []

    content {
      actions   = ["iam:PassRole"]
      resources = var.task_roles

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ecs-tasks.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role" "instance" {
  name_prefix        = "ecs-start-task-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy_attachment" "agent" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
}

resource "aws_iam_role_policy" "start_task" {
  name   = "ecs-start-task"
  role   = aws_iam_role.instance.name
  policy = data.aws_iam_policy_document.start_task.json
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "ecs-start-task-"
  role        = aws_iam_role.instance.name
}

resource "aws_launch_template" "instance" {
  name_prefix            = "ecs-start-task-"
  image_id               = data.aws_ssm_parameter.image.value
  instance_type          = "t3.small"
  user_data              = base64encode(local.user_data)
  vpc_security_group_ids = var.security_groups

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }
}

resource "aws_autoscaling_group" "instances" {
  name_prefix         = "ecs-start-task-"
  min_size            = 1
  max_size            = 3
  vpc_zone_identifier = var.subnets

  launch_template {
    id      = aws_launch_template.instance.id
    version = aws_launch_template.instance.latest_version
  }
}
