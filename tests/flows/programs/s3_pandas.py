"""S3 with pandas: addresses that begin with s3://. s3_pandas.py BUCKET"""

import os
import sys

import fsspec
import pandas as pd

bucket = sys.argv[1]
fsspec.filesystem("s3").mkdir(bucket)
# Parquet goes by Arrow unless there are options for s3fs; and Arrow knows no proxy.
options = None if "AWS_ENDPOINT_URL" in os.environ else {"anon": False}
frame = pd.DataFrame({"a b": range(1000), "name": ["x", "ü"] * 500})

for name in ("table.csv", "a b/ü+%.csv", "table.csv.gz"):
    frame.to_csv(f"s3://{bucket}/{name}", index=False)
    assert pd.read_csv(f"s3://{bucket}/{name}").equals(frame), name
frame.to_json(f"s3://{bucket}/lines.json", orient="records", lines=True)
assert len(pd.read_json(f"s3://{bucket}/lines.json", orient="records", lines=True)) == 1000
frame.to_parquet(f"s3://{bucket}/table.parquet", storage_options=options)
assert pd.read_parquet(f"s3://{bucket}/table.parquet", storage_options=options).equals(frame)
assert list(pd.read_parquet(f"s3://{bucket}/table.parquet", columns=["name"], storage_options=options)) == ["name"]
frame.to_parquet(f"s3://{bucket}/parts", partition_cols=["name"], storage_options=options)
assert len(pd.read_parquet(f"s3://{bucket}/parts", filters=[("name", "=", "ü")], storage_options=options)) == 500
assert len(pd.read_csv(f"s3://{bucket}/table.csv", chunksize=100).get_chunk()) == 100

fsspec.filesystem("s3").rm(bucket, recursive=True)
print("done")
