"""S3 with Arrow's own file system. s3_pyarrow.py BUCKET"""

import os
import sys

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from odd_keys import KEYS
from pyarrow import fs

bucket = sys.argv[1]
# Arrow reads keys and roots from the environment, but neither the endpoint nor the proxy.
if "AWS_ENDPOINT_URL" in os.environ:
    where = {"endpoint_override": os.environ["AWS_ENDPOINT_URL"]}
else:
    where = {"proxy_options": os.environ["HTTPS_PROXY"]}
s3 = fs.S3FileSystem(allow_bucket_creation=True, allow_bucket_deletion=True, **where)
s3.create_dir(bucket)


def listed(folder: str) -> list[str]:
    found = s3.get_file_info(fs.FileSelector(f"{bucket}/{folder}", recursive=True))
    return sorted(each.path for each in found if each.type == fs.FileType.File)


for key in KEYS:
    with s3.open_output_stream(f"{bucket}/odd/{key}") as file:
        file.write(key.encode())
assert listed("odd") == sorted(f"{bucket}/odd/{key}" for key in KEYS)
for key in KEYS:
    s3.copy_file(f"{bucket}/odd/{key}", f"{bucket}/copied")
    with s3.open_input_file(f"{bucket}/copied") as file:
        assert file.read() == key.encode()

with s3.open_output_stream(f"{bucket}/large", metadata={"Content-Type": "a/b"}) as file:  # in parts of 10 MB
    for number in range(24):
        file.write(bytes([number]) * (1 << 20))
with s3.open_input_file(f"{bucket}/large") as file:
    assert file.size() == 24 << 20
    assert file.metadata()["Content-Type"] == b"a/b"
    assert file.read_at(2, (3 << 20) - 1) == b"\2\3"
s3.move(f"{bucket}/large", f"{bucket}/moved")
assert s3.get_file_info(f"{bucket}/large").type == fs.FileType.NotFound

table = pa.table({"year": [2024, 2025, 2025], "name": ["a", "ü", None]})
pq.write_table(table, f"{bucket}/table.parquet", filesystem=s3)
assert pq.read_table(f"{bucket}/table.parquet", filesystem=s3).equals(table)
ds.write_dataset(table, f"{bucket}/parts", format="parquet", partitioning=["year"], filesystem=s3)
parts = ds.dataset(f"{bucket}/parts", partitioning=["year"], filesystem=s3)
assert parts.to_table(filter=ds.field("year") == 2025).num_rows == 2

s3.delete_dir(f"{bucket}/parts")
s3.delete_dir_contents(bucket)
s3.delete_dir(bucket)
print("done")
