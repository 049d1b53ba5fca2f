"""A stranger's client. Usage: client.py HOST:PORT STUBS; prints what it saw of each check as one JSON object."""
import json
import queue
import sys

address, stubs = sys.argv[1:]
sys.path.insert(0, stubs)

import grpc  # noqa: E402
import echo_pb2 as pb  # noqa: E402
import echo_pb2_grpc  # noqa: E402
import health_pb2  # noqa: E402
import health_pb2_grpc  # noqa: E402
import reflection_pb2  # noqa: E402
import reflection_pb2_grpc  # noqa: E402

LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
channel = grpc.insecure_channel(address, options=LIMITS)
echo = echo_pb2_grpc.EchoStub(channel)


def failed(call):
    """Status of a call that must fail."""
    try:
        call()
    except grpc.RpcError as e:
        return {"code": e.code().value[0], "message": e.details(), "reason": dict(e.trailing_metadata()).get("x-reason")}
    return {"code": 0}


def streamed(call):
    return {"texts": [reply.text for reply in call], "code": call.code().value[0]}


def collect():
    reply = echo.Collect(pb.EchoRequest(text=str(i)) for i in range(10))
    return {"text": reply.text, "count": reply.count}


def chat():
    requests = queue.Queue()
    call = echo.Chat(iter(requests.get, None))
    texts = []
    # The next message leaves only after the answer to the last: both directions must flow at once.
    for i in range(5):
        requests.put(pb.EchoRequest(text=f"c{i}"))
        texts.append(next(call).text)
    requests.put(None)
    return {"texts": texts + streamed(call)["texts"], "code": call.code().value[0]}


def cancel():
    call = echo.Expand(pb.EchoRequest(text="n", count=1, behaviour=pb.WAIT))
    texts = [next(call).text]
    call.cancel()
    return {"texts": texts, "code": call.code().value[0]}


def metadata():
    _, call = echo.Unary.with_call(pb.EchoRequest(), metadata=(("x-text", "plain"), ("x-bytes-bin", b"\x00\xff\x01")))
    initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
    return {"initial": initial["x-initial"], "initialBytes": initial["x-initial-bin"].hex(),
            "trailing": trailing["x-trailing"], "trailingBytes": trailing["x-trailing-bin"].hex()}


def large():
    payload = b"polyfill" * (64 * 1024 * 1024 // 8)
    reply = echo.Unary(pb.EchoRequest(payload=payload))
    return {"size": len(reply.payload), "same": reply.payload == payload}


def gzip():
    sent = echo.Unary(pb.EchoRequest(text="a" * 10000), compression=grpc.Compression.Gzip)
    received = echo_pb2_grpc.ZipStub(channel).Unary(pb.EchoRequest(text="b" * 10000))
    return {"requestEncoding": sent.request_encoding, "sent": len(sent.text), "received": len(received.text)}


def health():
    stub = health_pb2_grpc.HealthStub(channel)
    known = stub.Check(health_pb2.HealthCheckRequest())
    unknown = failed(lambda: stub.Check(health_pb2.HealthCheckRequest(service="nobody")))
    return {"status": known.status, "unknown": unknown["code"]}


def reflection():
    ask = reflection_pb2.ServerReflectionRequest
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([
        ask(list_services="*"),
        ask(file_containing_symbol="polyfill.v1.Echo"),
        ask(all_extension_numbers_of_type="google.protobuf.MethodOptions"),
        ask(file_by_filename="missing.proto")]))
    services, files, extensions, missing = call
    return {"services": [service.name for service in services.list_services_response.service],
            "files": len(files.file_descriptor_response.file_descriptor_proto),
            "extensions": list(extensions.all_extension_numbers_response.extension_number),
            "missing": missing.error_response.error_code, "code": call.code().value[0]}


print(json.dumps({
    "unary": {"text": echo.Unary(pb.EchoRequest(text="hello")).text},
    "collect": collect(),
    "expand": streamed(echo.Expand(pb.EchoRequest(text="n", count=5))),
    "chat": chat(),
    "deadline": failed(lambda: echo.Unary(pb.EchoRequest(behaviour=pb.WAIT), timeout=1)),
    "cancel": cancel(),
    "failure": failed(lambda: echo.Unary(pb.EchoRequest(behaviour=pb.FAIL))),
    "throws": failed(lambda: echo.Unary(pb.EchoRequest(behaviour=pb.THROW))),
    "metadata": metadata(),
    "large": large(),
    "gzip": gzip(),
    "unknownMethod": failed(lambda: channel.unary_unary("/polyfill.v1.Echo/Missing")(b"")),
    "health": health(),
    "reflection": reflection(),
}))
