"""XGBoost models behind the real model server: forms of requests and answers, statuses, and the same bits as the plain
library."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from clary.contract.layout import Layout
from clary.testing.algorithm_conformance import Answer, ModelClient, Workbench

ROWS = "\n".join(f"{i % 2},{(i % 2) * 2 + i % 3 / 10},{i % 5},{i % 7 / 3}" for i in range(60)).encode()
THREE = "\n".join(f"{i % 3},{i % 3 + i % 2 / 10},{i % 5}" for i in range(60)).encode()
BODY = b"2.1,3,0.5\n0.2,1,\n"


def trained(bench: Workbench, rows: bytes, **hyperparameters: str) -> Layout:
    ended = bench.train({"num_round": "5", **hyperparameters}, {"train": ("text/csv", {"data": rows})})
    assert ended.status == 0, ended.log
    return ended.layout


@pytest.fixture(scope="module")
def layout(bench: Workbench) -> Layout:
    return trained(bench, ROWS, objective="binary:logistic")


@pytest.fixture(scope="module")
def client(bench: Workbench, layout: Layout) -> Iterator[ModelClient]:
    with bench.serving(layout) as client:
        yield client


@pytest.fixture(scope="module")
def plain(bench: Workbench, layout: Layout) -> list[float]:
    """What the library itself says of BODY."""
    code = """
import sys, json, numpy as np, xgboost
model = xgboost.Booster(); model.load_model(sys.argv[1])
print(json.dumps(model.predict(xgboost.DMatrix(np.array([[2.1, 3, .5], [.2, 1, np.nan]], np.float32))).tolist()))
"""
    answer: list[float] = json.loads(bench.run(code, layout.model / "xgboost-model"))
    return answer


def test_csv_has_the_librarys_own_bits(client: ModelClient, plain: list[float]) -> None:
    both = Answer(200, "text/csv", f"{plain[0]}\n{plain[1]}\n".encode())
    assert client.invoke(BODY, "text/csv") == both
    assert client.invoke(BODY, "text/csv", "*/*") == both
    assert client.invoke(BODY.replace(b",", b";"), "text/csv; charset=utf-8") == both
    # one row alone takes another way through the library
    assert client.invoke(b"2.1,3,0.5", "text/csv").body == f"{plain[0]}\n".encode()
    assert client.invoke(b"0.2,1,", "text/csv").body == f"{plain[1]}\n".encode()


def test_libsvm_counts_from_zero_and_leaves_out_what_is_missing(client: ModelClient, plain: list[float]) -> None:
    answer = client.invoke(b"0:2.1 1:3 2:0.5\n1 0:0.2 1:1", "text/x-libsvm")
    assert answer.body == f"{plain[0]}\n{plain[1]}\n".encode()


def test_json_and_json_lines(client: ModelClient, plain: list[float]) -> None:
    scores = [{"score": value} for value in plain]
    assert json.loads(client.invoke(BODY, "text/csv", "application/json").body) == {"predictions": scores}
    lines = client.invoke(BODY, "text/csv", "application/jsonlines").body.splitlines()
    assert [json.loads(line) for line in lines] == scores


def test_recordio_in_and_out(bench: Workbench, client: ModelClient, plain: list[float]) -> None:
    answer = client.invoke(BODY, "text/csv", "application/x-recordio-protobuf")
    code = """
import sys; from clary.algorithms.formats.recordio import frames, _fields
record = list(frames(bytes.fromhex(sys.argv[1])))[0]
(_, entry), = _fields(record); entry = dict(_fields(entry))
import struct; print(entry[1].decode(), struct.unpack("<f", entry[2][-4:])[0])
"""
    assert bench.run(code, answer.body.hex()) == f"score {plain[0]}\n"


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"", "text/csv", "", 204, b""),
        (b"1,2\n", "application/json", "", 415, b"application/json is not an accepted ContentType: csv"),
        (b"a,b,c", "text/csv", "", 415, b"Loading csv data failed with Exception, please ensure data is in csv format"),
        (b"0:x", "text/libsvm", "", 415, b"Loading libsvm data failed with Exception"),
        (b"nothing", "application/x-recordio-protobuf", "", 415, b"Loading recordio-protobuf data failed"),
        (b"1,2,3", "text/csv", "text/html", 406, b"Accept type text/html is not supported."),
        (b"1,2,3,4", "text/csv", "", 400, b"inference data 4 is not consistent with feature size of trained model 3."),
        (b"0:1 9:1", "text/libsvm", "", 400, b"Feature size of libsvm inference data 10 is larger than"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_status(
    client: ModelClient, body: bytes, content_type: str, accept: str, status: int, words: bytes
) -> None:
    answer = client.invoke(body, content_type, accept)
    assert (answer.status, words in answer.body) == (status, True), answer


def test_methods_and_paths(client: ModelClient) -> None:
    assert client.request("POST", "/ping").status == 405
    assert client.request("GET", "/invocations").status == 405
    assert client.request("GET", "/models").status == 404
    assert json.loads(client.request("GET", "/execution-parameters").body)["MaxPayloadInMB"] == 6


def exchange(client: ModelClient, sent: bytes, until: bytes) -> bytes:
    """Sends bytes and reads until `until` came or the server closed."""
    with client.connect() as connection:
        connection.sendall(sent)
        got = b""
        while until not in got and (part := connection.recv(65536)):
            got += part
    return got


def test_requests_on_one_connection_are_answered_in_order(client: ModelClient) -> None:
    one = b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s"
    big = b"2.1,3,0.5\n" * 2000  # answered by another thread
    sent = one % (len(big), big) + b"GET /ping HTTP/1.1\r\n\r\n" + b"GET /last HTTP/1.1\r\n\r\n"
    got = exchange(client, sent, b"Not Found")
    positions = [got.index(word) for word in (b"text/csv", b"Content-Length: 0", b"404 Not Found")]
    assert positions == sorted(positions)


def test_the_way_a_request_comes_does_not_matter(client: ModelClient) -> None:
    head = b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 9\r\n"
    whole = head + b"\r\n2.1,3,0.5"
    expected = client.invoke(b"2.1,3,0.5", "text/csv").body
    got = b""
    with client.connect() as connection:
        for pieces in ([whole], [whole[:70], whole[70:]], [whole], [whole + whole[:9], whole[9:]], [whole]):
            answers = b"".join(pieces).count(b"POST")
            for piece in pieces:
                connection.sendall(piece)
            for _ in range(answers):
                got = answered(connection, got, expected)
        connection.sendall(head + b"Connection: close\r\n\r\n2.1,3,0.5" + whole)
        while part := connection.recv(65536):
            got += part
    assert (got.count(b"HTTP/1.1 200 OK"), got.count(b"Connection: close")) == (1, 1)
    assert got.endswith(expected)


def answered(connection: socket.socket, got: bytes, expected: bytes) -> bytes:
    """Reads over one answer, whose body is `expected`; what came after it."""
    while b"\r\n\r\n" + expected not in got:
        part = connection.recv(65536)
        assert part, got
        got += part
    return got.partition(b"\r\n\r\n" + expected)[2]


def test_expect_continue_and_garbage(client: ModelClient) -> None:
    head = b"POST /invocations HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\nContent-Type: text/csv\r\n\r\n"
    assert exchange(client, head, b"100 Continue\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert exchange(client, b"\x16\x03\x01 no http\r\n\r\n", b"nothing").startswith(b"HTTP/1.1 400 ")


def test_bodies_have_a_limit(bench: Workbench, layout: Layout) -> None:
    with bench.serving(layout, MAX_CONTENT_LENGTH="1000") as client:
        assert client.invoke(b"1,2,3\n" * 100, "text/csv").status == 200
        said = exchange(client, b"POST /invocations HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", b"accepts")
        assert said.startswith(b"HTTP/1.1 413 ")
        chunked = b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert exchange(client, chunked + b"3e9\r\n" + b"1" * 1001, b"accepts").startswith(b"HTTP/1.1 413 ")


def test_ping_answers_while_predictions_run(client: ModelClient) -> None:
    big = b"2.1,3,0.5\n" * 400_000
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(client.invoke(big, "text/csv")))
    thread.start()
    pings = 0
    while thread.is_alive():
        with client.connect() as connection:
            connection.settimeout(2)  # what the service allows a ping
            connection.sendall(b"GET /ping HTTP/1.1\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        pings += 1
    thread.join()
    assert (answers[0].status, answers[0].body.count(b"\n")) == (200, 400_000)
    assert pings > 1


def test_sigterm_lets_the_last_answer_out(bench: Workbench, layout: Layout) -> None:
    big = b"2.1,3,0.5\n" * 100_000
    head = b"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(big)
    with bench.serving(layout) as client:
        connection = client.connect()
        connection.sendall(head + big)  # the server may not have read all of it when the end comes
        received = bytearray()

        def read() -> None:
            while part := connection.recv(65536):
                received.extend(part)

        reader = threading.Thread(target=read)
        reader.start()
    reader.join()
    connection.close()
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"\n") > 100_000


def test_selectable_inference(bench: Workbench, layout: Layout, plain: list[float]) -> None:
    keys = "predicted_label, labels,probability,probabilities,predicted_score"
    with bench.serving(layout, SAGEMAKER_INFERENCE_OUTPUT=keys) as client:
        lines = client.invoke(BODY, "text/csv").body.decode().split("\n")
        assert lines[0] == f'1,"[0, 1]",{plain[0]},"[{1 - plain[0]}, {plain[0]}]",nan'
        first = json.loads(client.invoke(BODY, "text/csv", "application/json").body)["predictions"][0]
        assert (first["predicted_label"], first["probability"]) == (1, plain[0])


def test_default_accept_batch_and_old_images(bench: Workbench, layout: Layout, plain: list[float]) -> None:
    with bench.serving(layout, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json") as client:
        assert client.invoke(BODY, "text/csv").content_type == "application/json"
    with bench.serving(layout, SAGEMAKER_BATCH="true") as client:
        assert client.invoke(BODY, "text/csv").body == f"{plain[0]}\n{plain[1]}\n".encode()
    with bench.serving(layout, CLARY_IMAGE_TAG="1.2-1") as client:
        assert client.invoke(BODY, "text/csv") == Answer(200, "text/csv", f"{plain[0]},{plain[1]}".encode())


def test_several_classes_give_a_list_a_row(bench: Workbench) -> None:
    layout = trained(bench, THREE, objective="multi:softprob", num_class="3")
    with bench.serving(layout) as client:
        one = client.invoke(b"2,1", "text/csv").body
        two = client.invoke(b"2,1\n0,1", "text/csv").body
        assert one == two.splitlines(keepends=True)[0]
        assert one.count(b",") == 2
        score = json.loads(client.invoke(b"2,1", "text/csv", "application/json").body)["predictions"][0]["score"]
        assert score.index(max(score)) == 2


def test_a_linear_booster_is_served_too(bench: Workbench) -> None:
    layout = trained(bench, ROWS, booster="gblinear")
    with bench.serving(layout) as client:
        one = client.invoke(b"2.1,3,0.5", "text/csv")
        assert (one.status, one.body) == (200, client.invoke(b"2.1,3,0.5\n1,1,1", "text/csv").body.splitlines(True)[0])


def test_ensembles_pickles_and_the_best_iteration(bench: Workbench, plain: list[float], layout: Layout) -> None:
    code = """
import sys, pickle, xgboost
model = xgboost.Booster(); model.load_model(sys.argv[1] + "/model/xgboost-model")
pickle.dump(model, open(sys.argv[2] + "/model/xgboost-model", "wb"))
model.set_attr(best_iteration="1"); model.save_model(sys.argv[3] + "/model/model.json")
import numpy as np
print(model.predict(xgboost.DMatrix(np.array([[2.1, 3, .5]], np.float32)), iteration_range=(0, 2))[0].item())
"""
    pickled, best, both = (bench.layout({}, {}) for _ in range(3))
    expected = float(bench.run(code, layout.base, pickled.base, best.base))
    with bench.serving(pickled) as client:
        assert client.invoke(BODY, "text/csv").body == f"{plain[0]}\n{plain[1]}\n".encode()
    with bench.serving(best) as client:
        assert float(client.invoke(b"2.1,3,0.5", "text/csv").body) == expected
    (both.model / "xgboost-model-0").write_bytes((layout.model / "xgboost-model").read_bytes())
    (both.model / "xgboost-model-1").write_bytes((best.model / "model.json").read_bytes())
    with bench.serving(both) as client:
        mean = float(client.invoke(b"2.1,3,0.5", "text/csv").body)
        assert mean == pytest.approx((plain[0] + expected) / 2, abs=1e-7)


def test_a_file_that_is_no_model_ends_the_server(bench: Workbench) -> None:
    broken = bench.layout({}, {})
    (broken.model / "xgboost-model").write_bytes(b"not a model")
    code = "import sys; from clary.modelserver import main; print('status', main())"
    said = bench.run(f"import os; os.environ['SAGEMAKER_BASE_DIR'] = {str(broken.base)!r}\n{code}")
    assert "Unable to load model: " in said
    assert said.endswith("status 1\n")


def test_listens_on_a_port_where_no_socket_is_named(bench: Workbench, layout: Layout) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = f"""
import os, threading, time, urllib.request
os.environ.update(SAGEMAKER_BASE_DIR={str(layout.base)!r}, SAGEMAKER_BIND_TO_PORT="{port}")
def ask():
    for _ in range(500):
        try:
            print(urllib.request.urlopen("http://127.0.0.1:{port}/ping").status, flush=True)
            break
        except OSError:
            time.sleep(0.02)
    os.kill(os.getpid(), 15)
threading.Thread(target=ask).start()
from clary.modelserver import main
print("status", main())
"""
    assert bench.run(code).endswith("200\nstatus 0\n")
