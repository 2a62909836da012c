"""S3 with s3fs (fsspec). s3_s3fs.py BUCKET"""

import sys
import urllib.request

import s3fs
from odd_keys import KEYS

bucket = sys.argv[1]
fs = s3fs.S3FileSystem()
fs.mkdir(bucket)

for key in KEYS:
    fs.pipe(f"{bucket}/odd/{key}", key.encode())
assert sorted(fs.find(f"{bucket}/odd")) == sorted(f"{bucket}/odd/{key}" for key in KEYS)
for key in KEYS:
    assert fs.cat(f"{bucket}/odd/{key}") == key.encode()
    fs.copy(f"{bucket}/odd/{key}", f"{bucket}/copied")
    assert fs.cat(f"{bucket}/copied") == key.encode()

with fs.open(f"{bucket}/large", "wb", block_size=5 << 20) as file:  # in parts
    for number in range(12):
        file.write(bytes([number]) * (1 << 20))
assert fs.info(f"{bucket}/large")["size"] == 12 << 20
assert fs.cat_file(f"{bucket}/large", start=(3 << 20) - 1, end=(3 << 20) + 1) == b"\2\3"
with fs.open(f"{bucket}/large") as file:
    file.seek(11 << 20)
    assert file.read() == bytes([11]) * (1 << 20)
fs.copy(f"{bucket}/large", f"{bucket}/larger")
fs.mv(f"{bucket}/larger", f"{bucket}/moved")
assert not fs.exists(f"{bucket}/larger")
assert fs.ls(bucket) == [f"{bucket}/{name}" for name in ("copied", "large", "moved", "odd")]

fs.setxattr(f"{bucket}/copied", said="hello")
fs.put_tags(f"{bucket}/copied", {"for": "tests"})
assert fs.getxattr(f"{bucket}/copied", "said") == "hello"
assert fs.get_tags(f"{bucket}/copied") == {"for": "tests"}
with urllib.request.urlopen(fs.url(f"{bucket}/odd/{KEYS[0]}")) as answer:  # presigned
    assert answer.read() == KEYS[0].encode()

fs.rm(bucket, recursive=True)
assert not fs.exists(bucket)
print("done")
