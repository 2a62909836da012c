#!/bin/sh
# build_and_push.sh NAME FOLDER [OPTION OF BUILD...]: builds FOLDER's Dockerfile and pushes the image to the account's
# ECR, as AWS's notebooks do it. ENGINE=podman where there is no docker command.
set -eu
name=$1 folder=$2
shift 2
engine=${ENGINE:-docker}

account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || echo "${AWS_DEFAULT_REGION:-us-east-1}")
registry=$account.dkr.ecr.$region.amazonaws.com

if ! aws ecr describe-repositories --repository-names "$name" >/dev/null 2>&1; then
  aws ecr create-repository --repository-name "$name" >/dev/null
fi
aws ecr get-login-password --region "$region" | "$engine" login --username AWS --password-stdin "$registry"

"$engine" build -t "$name" "$@" "$folder"
"$engine" tag "$name" "$registry/$name:latest"
"$engine" push "$registry/$name:latest"
echo "pushed $registry/$name:latest"
