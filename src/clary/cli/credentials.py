"""`clary credentials`: what the `credential_process` of an AWS profile is to print."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from clary.cli import pointing
from clary.cli.server import running


def command(given: argparse.Namespace) -> int:
    keys = pointing.keys(running(given), root=False)
    document = {
        "Version": 1,
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret_key,
        "SessionToken": keys.session_token,
        "Expiration": datetime.fromtimestamp(keys.expires, UTC).isoformat(timespec="seconds"),
    }
    print(json.dumps(document))  # its format is AWS's, with and without --json
    return 0
