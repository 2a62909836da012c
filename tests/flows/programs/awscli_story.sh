#!/bin/sh
# The whole story with the AWS CLI. awscli_story.sh NAME TRAIN.csv TEST.csv WORKPLACE
set -eu
name=$1 train=$2 test=$3 workplace=$4
role=arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-Clary
image=683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
group=/aws/sagemaker/TrainingJobs
export AWS_PAGER=

aws s3 mb "s3://$name"
aws s3 cp "$train" "s3://$name/train/"
aws s3 ls "s3://$name" --recursive --summarize

aws sagemaker create-training-job --training-job-name "$name" --role-arn "$role" \
  --algorithm-specification "TrainingImage=$image,TrainingInputMode=File" \
  --hyper-parameters num_round=5,objective=binary:logistic \
  --input-data-config "ChannelName=train,ContentType=text/csv,DataSource={S3DataSource={S3DataType=S3Prefix,S3Uri=s3://$name/train/}}" \
  --output-data-config "S3OutputPath=s3://$name/output" \
  --resource-config InstanceType=ml.m4.xlarge,InstanceCount=1,VolumeSizeInGB=5 \
  --stopping-condition MaxRuntimeInSeconds=600
# The waiter asks first and sleeps 120 s then: it is begun when the job has a model.
until [ "$(aws sagemaker describe-training-job --training-job-name "$name" --query TrainingEndTime)" != null ]; do :; done
aws sagemaker wait training-job-completed-or-stopped --training-job-name "$name"
aws sagemaker describe-training-job --training-job-name "$name" --query TrainingJobStatus --output text

stream=$(aws logs describe-log-streams --log-group-name "$group" --log-stream-name-prefix "$name/" \
  --query 'logStreams[0].logStreamName' --output text)
aws logs get-log-events --log-group-name "$group" --log-stream-name "$stream" --start-from-head \
  --query 'events[].message' --output text
model=$(aws sagemaker describe-training-job --training-job-name "$name" --query ModelArtifacts.S3ModelArtifacts --output text)
aws s3 cp "$model" "$workplace/model.tar.gz"
tar -tzf "$workplace/model.tar.gz"

aws sagemaker create-model --model-name "$name" --execution-role-arn "$role" \
  --primary-container "Image=$image,ModelDataUrl=$model"
aws sagemaker create-endpoint-config --endpoint-config-name "$name" --production-variants \
  "VariantName=AllTraffic,ModelName=$name,InitialInstanceCount=1,InstanceType=ml.m4.xlarge"
aws sagemaker create-endpoint --endpoint-name "$name" --endpoint-config-name "$name"
# This one sleeps 30 s after a first look that comes too early.
while [ "$(aws sagemaker describe-endpoint --endpoint-name "$name" --query EndpointStatus --output text)" = Creating ]; do :; done
aws sagemaker wait endpoint-in-service --endpoint-name "$name"
aws sagemaker-runtime invoke-endpoint --endpoint-name "$name" --content-type text/csv --body "fileb://$test" \
  "$workplace/scores"

aws sagemaker delete-endpoint --endpoint-name "$name"
while aws sagemaker describe-endpoint --endpoint-name "$name" >/dev/null 2>&1; do :; done
aws sagemaker wait endpoint-deleted --endpoint-name "$name"
aws sagemaker delete-endpoint-config --endpoint-config-name "$name"
aws sagemaker delete-model --model-name "$name"
aws s3 rm "s3://$name" --recursive
aws s3 rb "s3://$name"
if aws s3 ls "s3://$name"; then exit 1; fi
