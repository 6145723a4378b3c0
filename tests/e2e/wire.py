"""Speaks gRPC to a node with Google's own library, which minds trailers and ALPN.

usage: wire.py BASE_URL PROTO_DIRECTORY WORK_DIRECTORY
"""
import os
import ssl
import sys
from urllib.parse import urlsplit

import grpc
from grpc_tools import protoc

base, protos, work = sys.argv[1:4]
made = protoc.main(["protoc", f"-I{protos}", f"--python_out={work}", f"--grpc_python_out={work}", os.path.join(protos, "lp_rpc.proto")])
assert made == 0, f"protoc ended with {made}"
sys.path.insert(0, work)
import lp_rpc_pb2 as pb  # noqa: E402
import lp_rpc_pb2_grpc as rpc  # noqa: E402

DEMAND = 0x4001003
SECONDS = 20


def connect():
    address = urlsplit(base)
    target = f"{address.hostname}:{address.port}"
    if address.scheme == "http":
        return grpc.insecure_channel(target)
    # Peers believe any certificate; this library believes the one that it is given, whatever its name.
    certificate = ssl.get_server_certificate((address.hostname, address.port))
    credentials = grpc.ssl_channel_credentials(certificate.encode())
    return grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", address.hostname)])


def fails(call, request):
    try:
        call(request, timeout=SECONDS)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"{call} should have failed")


def discover(node, **fields):
    capabilities = pb.Capabilities(bitstring=[DEMAND], constraints=pb.Capabilities.Constraints())
    request = pb.OrchestratorRequest(address=bytes(20), capabilities=capabilities, **fields)
    return node.GetOrchestrator(request, timeout=SECONDS)


with connect() as channel:
    node = rpc.OrchestratorStub(channel)

    info = discover(node)
    assert info.transcoder == base, info.transcoder
    assert info.address == bytes(20), info.address
    assert not info.HasField("price_info") and not info.HasField("ticket_params")
    assert info.HasField("capabilities") and info.HasField("auth_token")
    assert info.capabilities.bitstring[0] & DEMAND == DEMAND, hex(info.capabilities.bitstring[0])
    assert info.capabilities.version, "a version, or gateways with a least version go elsewhere"
    assert not info.capabilities.mandatories
    assert info.auth_token.session_id and len(info.auth_token.token) == 32
    assert discover(node).auth_token.session_id != info.auth_token.session_id, "a session of its own for each"
    # Off-chain any signature is accepted unseen.
    assert discover(node, sig=b"anything").transcoder == base
    # The network poll sends no capabilities.
    assert node.GetOrchestrator(pb.OrchestratorRequest(), timeout=SECONDS).transcoder == base

    assert node.Ping(pb.PingPong(value=b"hello"), timeout=SECONDS).value == b""

    node.EndTranscodingSession(pb.EndTranscodingSessionRequest(auth_token=info.auth_token), timeout=SECONDS)
    forged = pb.AuthToken(token=bytes(32), session_id="0a1b2c3d", expiration=1893456000)
    error = fails(node.EndTranscodingSession, pb.EndTranscodingSessionRequest(auth_token=forged))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "Invalid auth token"), error
    error = fails(node.EndTranscodingSession, pb.EndTranscodingSessionRequest())
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error

    unknown = channel.unary_unary("/net.Orchestrator/NoSuchMethod")
    error = fails(unknown, b"")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    broken = channel.unary_unary("/net.Orchestrator/GetOrchestrator")
    error = fails(broken, b"\xff\xff\xff")
    assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT), error
    # And the connection still serves.
    assert discover(node).transcoder == base
