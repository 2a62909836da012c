#!/bin/sh
# Folders, parts, pipes and signed addresses with s5cmd, which reads S3_ENDPOINT_URL. s3_s5cmd.sh BUCKET WORKPLACE
set -eu
bucket=$1
cd "$2"
[ -z "${AWS_ENDPOINT_URL:-}" ] || export S3_ENDPOINT_URL="$AWS_ENDPOINT_URL"
mkdir -p folder/below
echo one >"folder/a b+%ü"
head -c 20000000 /dev/urandom >folder/below/large
s5cmd --stat=false mb "s3://$bucket" >/dev/null
s5cmd cp --part-size 5 "folder/*" "s3://$bucket/copy/" >/dev/null
test -z "$(s5cmd sync "folder/*" "s3://$bucket/copy/")"
s5cmd cp "s3://$bucket/copy/*" "s3://$bucket/again/" >/dev/null
s5cmd cp --part-size 5 "s3://$bucket/again/*" back/ >/dev/null
diff -r folder back
test "$(s5cmd cat "s3://$bucket/copy/a b+%ü")" = one
echo "from a pipe" | s5cmd pipe "s3://$bucket/stream" >/dev/null
s5cmd mv "s3://$bucket/stream" "s3://$bucket/moved" >/dev/null
test "$(s5cmd ls "s3://$bucket/*" | wc -l)" = 5
s5cmd presign "s3://$bucket/moved" >address
python -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read())' "$(cat address)" >read
test "$(cat read)" = "b'from a pipe\\n'"
s5cmd rm "s3://$bucket/*" >/dev/null
s5cmd rb "s3://$bucket" >/dev/null
echo done
