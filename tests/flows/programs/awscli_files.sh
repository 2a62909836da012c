#!/bin/sh
# Folders, streams and signed addresses with the AWS CLI. awscli_files.sh BUCKET WORKPLACE
set -eu
bucket=$1
cd "$2"
mkdir -p folder/below
echo one >folder/first
echo odd >"folder/a b+%ü"
head -c 20000000 /dev/urandom >folder/below/large
aws s3 mb "s3://$bucket"
aws s3 sync --no-progress folder "s3://$bucket/copy"
test -z "$(aws s3 sync --no-progress folder "s3://$bucket/copy")"
aws s3 sync --no-progress "s3://$bucket/copy" back
diff -r folder back && echo "the same came back"
echo "from a pipe" | aws s3 cp - "s3://$bucket/stream"
aws s3 mv --no-progress "s3://$bucket/stream" "s3://$bucket/moved"
aws s3 cp "s3://$bucket/moved" -
aws s3 presign "s3://$bucket/moved" --endpoint-url "${AWS_ENDPOINT_URL:-$HTTPS_PROXY}" >address
aws s3api copy-object --bucket "$bucket" --key copied --copy-source "$bucket/copy/a b+%ü" >/dev/null
aws s3api get-object --bucket "$bucket" --key copied --range bytes=1-2 part >/dev/null
test "$(cat part)" = dd
aws s3api delete-objects --bucket "$bucket" --delete 'Objects=[{Key=copied}],Quiet=true'
aws s3 rm "s3://$bucket/copy" --recursive --exclude '*' --include first --quiet
aws s3 ls "s3://$bucket" --recursive
