"""A stranger's server. Prints its port, then "waiting" and "cancelled" as handlers that were asked to wait do so."""
import sys
import threading
from concurrent import futures

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
import echo_pb2 as pb  # noqa: E402
import echo_pb2_grpc  # noqa: E402

UNUSUAL_MESSAGE = 'naïve – 失敗 100% "why"\nsecond line'


def say(line):
    print(line, flush=True)


def respond(request, context):
    headers = dict(context.invocation_metadata())
    if "x-text" in headers:
        context.send_initial_metadata((("x-initial", headers["x-text"]), ("x-initial-bin", headers["x-bytes-bin"])))
        context.set_trailing_metadata((("x-trailing", headers["x-text"]), ("x-trailing-bin", headers["x-bytes-bin"])))
    if request.behaviour == pb.FAIL:
        context.set_trailing_metadata((("x-reason", "asked to"),))
        context.abort(grpc.StatusCode.NOT_FOUND, UNUSUAL_MESSAGE)
    if request.behaviour == pb.THROW:
        context.abort(grpc.StatusCode.UNKNOWN, "Exception was thrown by handler.")
    if request.behaviour == pb.WAIT:
        cancelled = threading.Event()
        say("waiting")
        if context.add_callback(cancelled.set):
            cancelled.wait()
        say("cancelled")


def reply(request):
    return pb.EchoReply(text=request.text, payload=request.payload, count=len(request.payload))


class Echo(echo_pb2_grpc.EchoServicer):
    def Unary(self, request, context):
        respond(request, context)
        return reply(request)

    def Collect(self, request_iterator, context):
        texts = [request.text for request in request_iterator]
        return pb.EchoReply(text=" ".join(texts), count=len(texts))

    def Expand(self, request, context):
        for i in range(request.count):
            yield pb.EchoReply(text=f"{request.text}{i}")
        respond(request, context)

    def Chat(self, request_iterator, context):
        for request in request_iterator:
            yield reply(request)


class Zip(echo_pb2_grpc.ZipServicer):
    def Unary(self, request, context):
        context.set_compression(grpc.Compression.Gzip)
        return reply(request)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8),
                     options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
echo_pb2_grpc.add_EchoServicer_to_server(Echo(), server)
echo_pb2_grpc.add_ZipServicer_to_server(Zip(), server)
say(server.add_insecure_port("127.0.0.1:0"))
server.start()
sys.stdin.read()  # ends with the test that started it
server.stop(None)
