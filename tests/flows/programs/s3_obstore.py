"""S3 with obstore. s3_obstore.py BUCKET"""

import datetime
import os
import sys
import urllib.request

import obstore
from obstore.store import S3Store
from odd_keys import KEYS

# The crate behind it neither creates buckets nor reads which style of address AWS has by now.
store = S3Store(sys.argv[1], virtual_hosted_style_request="AWS_ENDPOINT_URL" not in os.environ)


def listed(prefix: str = "") -> list[str]:
    return sorted(each["path"] for batch in obstore.list(store, prefix) for each in batch)


for key in KEYS:
    obstore.put(store, f"odd/{key}", key.encode())
assert listed("odd") == sorted(f"odd/{key}" for key in KEYS)
for key in KEYS:
    assert bytes(obstore.get(store, f"odd/{key}").bytes()) == key.encode()
    obstore.copy(store, f"odd/{key}", "copied")
    assert bytes(obstore.get(store, "copied").bytes()) == key.encode()

large = b"".join(bytes([number]) * (1 << 20) for number in range(12))
obstore.put(store, "large", large, use_multipart=True, chunk_size=5 << 20, attributes={"Content-Type": "a/b"})
assert obstore.head(store, "large")["size"] == len(large)
assert bytes(obstore.get_range(store, "large", start=(3 << 20) - 1, end=(3 << 20) + 1)) == b"\2\3"
assert bytes(obstore.get(store, "large").bytes()) == large
with obstore.open_writer(store, "written", buffer_size=5 << 20) as file:
    file.write(large)
assert obstore.head(store, "written")["size"] == len(large)

obstore.rename(store, "copied", "moved")
try:
    obstore.put(store, "moved", b"", mode="create")  # If-None-Match
except obstore.exceptions.AlreadyExistsError:
    pass
else:
    raise AssertionError("it was there")
address = obstore.sign(store, "GET", f"odd/{KEYS[0]}", datetime.timedelta(minutes=5))
with urllib.request.urlopen(address) as answer:
    assert answer.read() == KEYS[0].encode()

obstore.delete(store, listed())
assert listed() == []
print("done")
