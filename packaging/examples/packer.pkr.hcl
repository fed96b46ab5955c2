# Bakes an AMI with golden-ami.sh: `packer init .`, then `packer build .`
#
# Replace: nothing here; golden-ami.sh lists its own placeholders.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.0"
    }
  }
}

data "amazon-parameterstore" "image" {
  name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
}

source "amazon-ebs" "ecs" {
  ami_name      = "ecs-start-task-${formatdate("YYYYMMDDhhmm", timestamp())}"
  instance_type = "t3.small"
  source_ami    = data.amazon-parameterstore.image.value
  ssh_username  = "ec2-user"
  imds_support  = "v2.0"
}

build {
  sources = ["source.amazon-ebs.ecs"]

  provisioner "shell" {
    script          = "golden-ami.sh"
    execute_command = "chmod +x {{ .Path }}; sudo {{ .Vars }} {{ .Path }}"
  }
}
