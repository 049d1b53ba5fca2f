"""A stranger's client of the scheduler. Usage: client.py HOST:PORT MESSAGES_FOLDER
Reads one question a line, {"check": NAME, ...}, and answers each with a line of what it saw; ../node/client.js answers the same."""
import base64
import hashlib
import importlib
import itertools
import json
import os
import queue
import struct
import sys
import threading
import traceback
import uuid

address, messages = sys.argv[1:]
sys.path.insert(0, messages)

import grpc  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402
from cluster.v1 import checkpoints_pb2, jobs_pb2, workers_pb2  # noqa: E402
from health.v1 import health_pb2  # noqa: E402

CHUNK_BYTES = 1 << 20
channel = grpc.insecure_channel(address)


def stub(kind, service, method, request, reply):
    return kind(f"/{service}/{method}", request.SerializeToString, reply.FromString)


submit_job = stub(channel.unary_unary, "cluster.v1.JobService", "SubmitJob", jobs_pb2.SubmitJobRequest, jobs_pb2.SubmitJobResponse)
watch_job = stub(channel.unary_stream, "cluster.v1.JobService", "WatchJob", jobs_pb2.WatchJobRequest, jobs_pb2.WatchJobResponse)
put_chunks = stub(channel.stream_unary, "cluster.v1.AttemptService", "PutChunks",
                  checkpoints_pb2.PutChunksRequest, workers_pb2.PutChunksResponse)
import_checkpoint = stub(channel.stream_unary, "cluster.v1.CheckpointService", "ImportCheckpoint",
                         checkpoints_pb2.ImportCheckpointRequest, checkpoints_pb2.ImportCheckpointResponse)
download_file = stub(channel.unary_stream, "cluster.v1.CheckpointService", "DownloadFile",
                     checkpoints_pb2.DownloadFileRequest, checkpoints_pb2.DownloadFileResponse)
check_health = stub(channel.unary_unary, "grpc.health.v1.Health", "Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)


def metadata(token, **values):
    access = [("authorization", f"Bearer {token}")] if token else []
    return access + [(key.replace("_", "-"), str(value)) for key, value in values.items()]


def answered(call, see=lambda reply: {}):
    """Outcome of a call of one answer, and what there is to see of that."""
    try:
        return {"code": 0, "message": "", **see(call())}
    except grpc.RpcError as error:
        return outcome(error)


def outcome(call):
    return {"code": call.code().value[0], "message": call.details()}


def each(call):
    """The answers of a call up to its end, whatever that is."""
    try:
        for answer in call:
            yield answer
    except grpc.RpcError:
        pass  # outcome tells of it


def chunk_of(data):
    return checkpoints_pb2.PutChunksRequest(sha256=hashlib.sha256(data).digest(), data=data)


def header(data_bytes):
    """The beginning of a safetensors file whose one tensor is all the rest."""
    text = json.dumps({"fc.weight": {"dtype": "F32", "shape": [data_bytes // 4], "data_offsets": [0, data_bytes]}}).encode()
    return struct.pack("<Q", len(text)) + text


def import_parts(file_bytes, pieces):
    model = {"name": "lenet5"}
    yield checkpoints_pb2.ImportCheckpointRequest(file={"name": "stranger.safetensors", "bytes": file_bytes, "model": model})
    for piece in pieces:
        yield checkpoints_pb2.ImportCheckpointRequest(chunk=chunk_of(piece))


def submit(yaml, token=None, padding=0, gzip=False):
    request = jobs_pb2.SubmitJobRequest(request_id=str(uuid.uuid4()), yaml=f"{yaml}\n# {'x' * padding}", wait_for_capacity=True)
    compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
    return answered(lambda: submit_job(request, metadata=metadata(token), compression=compression),
                    lambda reply: {"id": reply.job.id, "states": [jobs_pb2.JobState.Name(reply.job.state)]})


# The call that watch leaves open for finish or cancel; others are kept from being collected, which would end them.
left_open = None


def states(call):
    return (jobs_pb2.JobState.Name(update.event.to_state) for update in each(call) if update.HasField("event"))


def watch(token, job, seconds=None):
    global left_open
    left_open = watch_job(jobs_pb2.WatchJobRequest(job_id=job), metadata=metadata(token), timeout=seconds)
    return {"states": list(itertools.islice(states(left_open), 1))}


def finish():
    return {"states": list(states(left_open)), **outcome(left_open)}


def cancel():
    left_open.cancel()
    return finish()


def put_chunks_of(job, attempt, rank, token, chunks):
    identity = metadata(token, cluster_job=job, cluster_attempt=attempt, cluster_rank=rank)
    return answered(lambda: put_chunks((chunk_of(bytes([i]) * 1000) for i in range(chunks)), metadata=identity),
                    lambda reply: {"bytes": reply.stored_bytes})


def import_file(token, bytes):
    file = header(bytes) + os.urandom(bytes)
    pieces = (file[at:at + CHUNK_BYTES] for at in range(0, len(file), CHUNK_BYTES))
    seen = answered(lambda: import_checkpoint(import_parts(len(file), pieces), metadata=metadata(token)),
                    lambda reply: {"id": reply.checkpoint.id})
    return {**seen, "bytes": len(file), "sha256": hashlib.sha256(file).hexdigest()}


def weights_of(checkpoint):
    return checkpoints_pb2.DownloadFileRequest(checkpoint_id=checkpoint, file="model.safetensors")


def download(token, checkpoint):
    call = download_file(weights_of(checkpoint), metadata=metadata(token))
    digest, size = hashlib.sha256(), 0
    for part in each(call):
        digest.update(part.data)
        size += len(part.data)
    return {**outcome(call), "bytes": size, "sha256": digest.hexdigest()}


def import_half(token, bytes):
    """Announces twice what it sends, and then sends nothing more."""
    global left_open
    pieces = itertools.chain([header(2 * bytes)], (os.urandom(CHUNK_BYTES) for _ in range(0, bytes, CHUNK_BYTES)), never())
    left_open = import_checkpoint.future(import_parts(2 * bytes, pieces), metadata=metadata(token))
    return {}


def never():
    threading.Event().wait()
    yield


def download_beginning(token, checkpoint):
    global left_open
    left_open = download_file(weights_of(checkpoint), metadata=metadata(token))
    return {"bytes": len(next(left_open).data)}


def unknown(path):
    return answered(lambda: channel.unary_unary(path)(b""))


def health(service):
    return answered(lambda: check_health(health_pb2.HealthCheckRequest(service=service)),
                    lambda reply: {"states": [health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)]})


def reflect(version, token, job):
    """As grpcurl does: learns from the server what it offers, each question after the answer to the last, and calls a method by that."""
    pb = importlib.import_module(f"reflection.{version}.reflection_pb2")
    questions = queue.Queue()
    call = stub(channel.stream_stream, f"grpc.reflection.{version}.ServerReflection", "ServerReflectionInfo",
                pb.ServerReflectionRequest, pb.ServerReflectionResponse)(iter(questions.get, None))

    def ask(**question):
        questions.put(pb.ServerReflectionRequest(**question))
        return next(call)

    services = ask(list_services="*").list_services_response.service
    files = ask(file_containing_symbol="cluster.v1.JobService").file_descriptor_response.file_descriptor_proto
    named = ask(file_by_filename="cluster/v1/access.proto").file_descriptor_response.file_descriptor_proto
    missing = ask(file_containing_symbol="cluster.v1.NoSuchService").error_response.error_code
    questions.put(None)
    assert next(call, None) is None

    request, reply = (learnt(files, name) for name in ("cluster.v1.GetJobRequest", "cluster.v1.GetJobResponse"))
    get_job = stub(channel.unary_unary, "cluster.v1.JobService", "GetJob", request, reply)
    return {**outcome(call), "services": [service.name for service in services], "files": base64_of(files), "named": base64_of(named),
            "unknown": missing, "id": get_job(request(job_id=job), metadata=metadata(token)).job.id}


def learnt(files, message):
    """A message's class, by descriptors from the server alone."""
    pool = descriptor_pool.DescriptorPool()
    waiting = {proto.name: proto for proto in map(descriptor_pb2.FileDescriptorProto.FromString, files)}

    def add(name):
        proto = waiting.pop(name, None)
        if proto:
            for dependency in proto.dependency:
                add(dependency)
            pool.Add(proto)

    for name in list(waiting):
        add(name)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(message))


def base64_of(protos):
    return [base64.b64encode(proto).decode() for proto in protos]


CHECKS = {
    "submit": submit, "watch": watch, "finish": finish, "cancel": cancel, "putChunks": put_chunks_of, "import": import_file,
    "download": download, "importHalf": import_half, "downloadBeginning": download_beginning, "unknown": unknown, "health": health,
    "reflect": reflect,
}

for line in sys.stdin:
    question = json.loads(line)
    try:
        seen = CHECKS[question.pop("check")](**question)
    except Exception:
        seen = {"thrown": traceback.format_exc()}
    print(json.dumps(seen), flush=True)
os._exit(0)  # without waiting for calls that were left open
