"""Messages and calls, made when this is imported from the descriptors that the build took from the scheduler's protos."""
import pathlib
import types

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "cluster.v1"
_CONTRACTS = pathlib.Path(__file__).with_name("contracts.binpb")


def _files():
    try:
        content = _CONTRACTS.read_bytes()
    except FileNotFoundError:
        raise ImportError(f"{_CONTRACTS} is missing; install this package with pip, or run make_contracts.py beside it") from None
    return descriptor_pb2.FileDescriptorSet.FromString(content).file


# A pool of its own: other packages may bring google/api, or another version of these protos.
_pool = descriptor_pool.DescriptorPool()
_names = []
for _file in _files():
    _pool.AddSerializedFile(_file.SerializeToString())
    _names.append(_file.name)
_descriptors = [_pool.FindFileByName(name) for name in _names]

if hasattr(message_factory, "GetMessageClass"):
    _message_class = message_factory.GetMessageClass
else:  # before protobuf 4.22
    _message_class = message_factory.MessageFactory(_pool).GetPrototype

messages = types.SimpleNamespace(**{
    name: _message_class(descriptor)
    for file in _descriptors if file.package == _PACKAGE
    for name, descriptor in file.message_types_by_name.items()})

services = {
    name: service
    for file in _descriptors if file.package == _PACKAGE
    for name, service in file.services_by_name.items()}


def methods(service):
    """Name, whether it answers with a stream, path, and what its request and its answers are, of each call."""
    proto = descriptor_pb2.ServiceDescriptorProto()
    service.CopyToProto(proto)
    for method, declared in zip(service.methods, proto.method):
        if not declared.client_streaming:
            yield (method.name, declared.server_streaming, f"/{service.full_name}/{method.name}",
                   _message_class(method.input_type), _message_class(method.output_type))


class Stub:
    """A service's calls by name: each takes a request, or a request's fields, and sends the caller's token along."""

    def __init__(self, channel, service, metadata):
        for name, streams, path, request, answer in methods(service):
            kind = channel.unary_stream if streams else channel.unary_unary
            call = kind(path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString)
            setattr(self, name, _with(call, request, metadata))


def _with(call, request_class, metadata):
    return lambda request=None, *, timeout=None, **fields: call(
        request_class(**fields) if request is None else request, metadata=metadata, timeout=timeout)
