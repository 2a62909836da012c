"""Handlers around the model: points as `x;y` lines in, one word each out."""

import json


def input_handler(data, context):
    if context.request_content_type != "text/points":
        raise ValueError(f"only points, not {context.request_content_type}")
    rows = [[float(cell) for cell in line.split(";")] for line in data.read().decode().splitlines()]
    return json.dumps({"instances": rows})


def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.text)
    words = ["above" if row[0] > 0.5 else "below" for row in response.json()["predictions"]]
    return " ".join(words), "text/plain"
