"""What it takes to verify a signed request, against what botocore takes to sign it.

python benchmarks/signature.py [--rounds N] [--keep]
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from measure.report import Bar, Report, arguments
from measure.rounds import take_turns
from measure.signed import invocations

from clary.auth.principals import Credential, Principal
from clary.edge.heads import Head, parse
from clary.errors import ServiceError
from clary.serving.signature import Signatures

ABOUT = """InvokeEndpoint requests of one key, all different. Clary: what the gateway does with each to know who asks
and that nothing was changed: reads the claim, checks scope, clock, token and what must be signed, hashes the body,
recomputes and compares the signature. botocore: `SigV4Auth.add_auth` of the same requests. A forged signature and a
changed body are tried first, and refused. Then the same with a body of 6 MiB, the most that AWS takes, against bare
SHA-256 of it. One process, CPU time for each request."""
WHERE = """Of the verification about a half is hashing: the body, the canonical request, and HMAC with the signing
key. The key is derived once a day for each access key, region and service, and its two blocks are hashed then; what
stands before the signature in the Authorization header is read once as long as it stays the same, and the canonical
request is written once for all requests that differ in their bodies alone, which a client's do for a second. A large
body is all SHA-256."""
KEY = Credentials("AKIAEXAMPLE", "a-secret-key-of-the-usual-forty-letters")
PRINCIPAL = Principal("root", "123456789012", "arn:aws:iam::123456789012:root", "123456789012", "AKIAEXAMPLE")
CREDENTIAL = Credential("AKIAEXAMPLE", "a-secret-key-of-the-usual-forty-letters", PRINCIPAL)
REGION, PORT, LARGE = "eu-west-1", 7467, 6 * 1024 * 1024
CLARY, BOTOCORE, CLARY_LARGE, SHA256 = "clary verifies", "botocore signs", "clary, 6 MiB", "SHA-256 of 6 MiB"

Received = Sequence[tuple[Head, bytes]]


def received(bodies: Sequence[bytes]) -> Received:
    """The requests as the port reads them."""
    raw = [each.partition(b"\r\n\r\n") for each in invocations(PORT, "abalone", bodies, KEY, REGION)]
    return [(parse(head + blank), body) for head, blank, body in raw]


def verifying(requests: Received) -> Callable[[], object]:
    signatures = Signatures(900.0, time.time)

    def verify() -> None:
        for head, body in requests:
            signatures.prove(signatures.claim(head), head, body, CREDENTIAL)

    _refuses(signatures, *requests[0])
    return verify


def _refuses(signatures: Signatures, head: Head, body: bytes) -> None:
    claim = signatures.claim(head)
    forged = claim._replace(signature=claim.signature[::-1])
    for tried, data in ((forged, body), (claim, body + b"0")):
        try:
            signatures.prove(tried, head, data, CREDENTIAL)
        except ServiceError:
            continue
        raise RuntimeError("a forged request was taken for a good one")


def signing(bodies: Sequence[bytes]) -> Callable[[], object]:
    signer, url = SigV4Auth(KEY, "sagemaker", REGION), f"http://127.0.0.1:{PORT}/endpoints/abalone/invocations"
    requests = [AWSRequest("POST", url, {"Content-Type": "text/csv", "Accept": "text/csv"}, body) for body in bodies]

    def sign() -> None:
        for request in requests:
            signer.add_auth(request)

    return sign


def timed(work: Callable[[], object], count: int) -> Callable[[], dict[str, float]]:
    """CPU time of one of `count`: the best of five, since an interrupted one says nothing."""

    def sample() -> dict[str, float]:
        taken = []
        for _ in range(5):
            begin = time.process_time()
            work()
            taken.append(time.process_time() - begin)
        return {"CPU us": min(taken) / count * 1e6}

    return sample


def main() -> None:
    options = arguments(ABOUT, rounds=15)
    bodies = [f"{number},0.455,0.365,0.095,0.514,0.2245,0.101,0.15".encode() for number in range(1000)]
    large = bytes(LARGE)
    contenders = {
        CLARY: timed(verifying(received(bodies)), len(bodies)),
        BOTOCORE: timed(signing(bodies), len(bodies)),
        CLARY_LARGE: timed(verifying(received([large])), 1),
        SHA256: timed(lambda: hashlib.sha256(large).hexdigest(), 1),
    }
    report = Report(
        "signature", "Signatures", ABOUT, options.rounds, take_turns(contenders, options.rounds), where=WHERE
    )
    report.bars = [
        Bar("verified, to botocore's signing", report.ratio("CPU us", CLARY, BOTOCORE), 0.25),
        Bar("6 MiB, to bare SHA-256", report.ratio("CPU us", CLARY_LARGE, SHA256), 1.1),
    ]
    report.finish(options.keep)


if __name__ == "__main__":
    main()
