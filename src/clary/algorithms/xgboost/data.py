"""A channel as a DMatrix."""

from __future__ import annotations

from pathlib import Path

from clary.algorithms import log
from clary.algorithms.declaration import ChannelInput
from clary.algorithms.errors import ClientError
from clary.algorithms.formats.csv_text import find_delimiter, first_line, read_csv
from clary.algorithms.formats.files import data_files
from clary.algorithms.formats.libsvm_text import read_libsvm
from clary.algorithms.formats.recordio import read_labelled
from clary.algorithms.xgboost.library import xgboost
from clary.algorithms.xgboost.spec import CSV, LIBSVM, RECORDIO


def read_channel(name: str, channel: ChannelInput, csv_weights: bool) -> xgboost.DMatrix:
    """Raises ClientError naming the file and line that cannot be read, and when the channel has no data."""
    files = data_files(channel.path)
    if not files:
        what = "training" if name == "train" else name
        raise ClientError(f"No data in {what} channel path {channel.path}")
    if channel.content_type in CSV:
        if channel.parameters.get("label_size", "1") != "1":
            raise ClientError(
                f"text/csv;label_size={channel.parameters['label_size']} is not an accepted csv ContentType. "
                "Optional parameter label_size must be equal to 1"
            )
        return _from_csv(files, csv_weights)
    if channel.content_type in LIBSVM:
        rows = read_libsvm(files)
        return xgboost.DMatrix(rows.features, rows.labels, weight=rows.weights, qid=rows.groups)
    if channel.content_type in RECORDIO:
        features, labels = read_labelled(files)
        return xgboost.DMatrix(features, labels)
    raise ClientError(
        f"{channel.content_type} is not built in Clary's XGBoost yet; use text/csv, text/libsvm or "
        "application/x-recordio-protobuf."
    )


def _from_csv(files: list[Path], csv_weights: bool) -> xgboost.DMatrix:
    line = first_line(files[0])
    try:
        delimiter = find_delimiter(line)
    except ValueError as problem:
        raise ClientError(f"Could not determine delimiter on line {line[:50]}:\n{problem}") from None
    log.info(f"Determined delimiter of CSV input is '{delimiter}'")
    table = read_csv(files, delimiter)
    lead = 2 if csv_weights else 1
    if table.shape[1] <= lead:
        raise ClientError(
            f"Failed to load csv data with exception:\n{files[0].name} has {table.shape[1]} column(s): there must be a "
            f"label{', a weight' if csv_weights else ''} and at least one feature"
        )
    return xgboost.DMatrix(table[:, lead:], table[:, 0], weight=table[:, 1] if csv_weights else None)
