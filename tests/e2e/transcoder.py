"""A remote transcoder by Google's gRPC and plain HTTP, in the shape that the reference's has on the wire.

usage: transcoder.py BASE_URL PROTO_DIRECTORY WORK_DIRECTORY SECRET MODE
MODE  echo     answers each job with the segment itself as every rendition, and ends after the end of a session
      silent   takes jobs and never answers; ends when the orchestrator ends the stream in good order
      quitter  is gone in the moment in which its first job comes
      liar     answers the first job with what makes no sense in every way, then in good order; ends as echo does
"""
import http.client
import os
import ssl
import sys
from urllib.parse import urlsplit

import grpc
from grpc_tools import protoc

base, protos, work, secret, mode = sys.argv[1:6]
made = protoc.main(["protoc", f"-I{protos}", f"--python_out={work}", f"--grpc_python_out={work}", os.path.join(protos, "lp_rpc.proto")])
assert made == 0, f"protoc ended with {made}"
sys.path.insert(0, work)
import lp_rpc_pb2 as pb  # noqa: E402
import lp_rpc_pb2_grpc as rpc  # noqa: E402

address = urlsplit(base)
CAPABILITIES = 0x4005FFF
PIXELS = 12345
BOUNDARY = "6dc0a36d6a1c6ba5b2e3"
HASH = b"perceptual"


def connection():
    anything = ssl.create_default_context()
    anything.check_hostname = False
    anything.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(address.hostname, address.port, timeout=20, context=anything)


def fetch(url):
    assert url.startswith(base), url
    link = connection()
    link.request("GET", url[len(base):])
    answer = link.getresponse()
    return answer.status, answer.read()


def post(headers, body):
    link = connection()
    link.request("POST", "/transcodeResults", body, headers)
    answer = link.getresponse()
    return answer.status, answer.read().decode()


def headers(task, **changed):
    all_headers = {
        "Authorization": "Livepeer-Transcoder-1.0",
        "Credentials": secret,
        "Content-Type": f"multipart/mixed; boundary={BOUNDARY}",
        "TaskId": str(task),
        "Pixels": "777",
    }
    all_headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    return {name: value for name, value in all_headers.items() if value is not None}


def results(job, media):
    body = b""
    for number, profile in enumerate(job.segData.fullProfiles or job.segData.fullProfiles2 or job.segData.fullProfiles3):
        body += b"\r\n" if number else b""
        body += f"--{BOUNDARY}\r\nContent-Length: {len(media)}\r\nContent-Type: video/mp2t\r\nPixels: {PIXELS}\r\n\r\n".encode() + media
        if job.segData.calc_perceptual_hash:
            body += f"\r\n--{BOUNDARY}\r\nContent-Length: {len(HASH)}\r\nContent-Type: application/octet-stream\r\n\r\n".encode() + HASH
    return body + f"\r\n--{BOUNDARY}--\r\n".encode()


def check_job(job):
    """What the reference's transcoder relies on."""
    data = job.segData
    assert bytes(job.profiles) == b"invalid" and bytes(data.profiles) == b"invalid"
    assert job.orchId == "offchain", job.orchId
    assert bytes(data.hash) == bytes(32) and not data.sig and not data.storage
    assert data.auth_token.session_id and len(data.auth_token.token) == 32
    assert data.capabilities.bitstring and data.capabilities.capacities
    assert len(data.fullProfiles) + len(data.fullProfiles2) + len(data.fullProfiles3) > 0
    assert data.duration > 0 and data.manifestId


def refused_results(task):
    """Credentials count before anything else does, and nothing of this touches the task."""
    assert post(headers(task, Authorization="Basic x"), b"x") == (401, "Unauthorized\n")
    assert post(headers(task, Credentials="guess"), b"x" * (4 << 20))[0] == 401
    assert post(headers(task, Credentials=None), b"x")[0] == 401
    assert post(headers(task, Content_Type=None), b"x") == (415, "mime: no media type\n")
    assert post(headers("one"), b"x") == (400, "Invalid Task ID\n")
    assert post(headers(task, Pixels="many"), b"x") == (400, "Invalid Pixels\n")
    # A task that never was, or is over, is no error.
    assert post(headers(1 << 40), b"x") == (200, "OK")
    assert post(headers(-1, Content_Type="livepeer/transcoding-error"), b"no such thing") == (200, "OK")
    assert post(headers(task, Content_Type="text/plain"), b"x") == (200, "OK")


def refused_registrations(node):
    for request, text in [
        (pb.RegisterRequest(secret="guess", capacity=1), "invalid secret"),
        (pb.RegisterRequest(secret=secret, capacity=0), "zero capacity"),
        (pb.RegisterRequest(secret=secret, capacity=-1), "zero capacity"),
    ]:
        try:
            next(node.RegisterTranscoder(request, timeout=20))
        except grpc.RpcError as error:
            assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, text), error
        else:
            raise AssertionError(text)


certificate = ssl.get_server_certificate((address.hostname, address.port))
credentials = grpc.ssl_channel_credentials(certificate.encode())
target = f"{address.hostname}:{address.port}"
with grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", address.hostname)]) as channel:
    node = rpc.TranscoderStub(channel)
    refused_registrations(node)
    capabilities = pb.Capabilities(bitstring=[CAPABILITIES], version="0.8.10", constraints=pb.Capabilities.Constraints())
    jobs, lies, sessions = 0, mode == "liar", set()
    for job in node.RegisterTranscoder(pb.RegisterRequest(secret=secret, capacity=2, capabilities=capabilities)):
        if not job.url:
            ended = job.segData.auth_token.session_id
            assert ended, "an empty notice is a job to the reference's transcoder"
            if ended in sessions and mode in ("echo", "liar"):
                break
            continue
        jobs += 1
        sessions.add(job.segData.auth_token.session_id)
        check_job(job)
        if mode == "quitter":
            os._exit(9)
        if mode == "silent":
            continue
        status, media = fetch(job.url)
        assert status == 200 and media[:1] == b"\x47", (status, len(media))
        assert fetch(job.url + "x")[0] == 404
        if lies:
            lies = False
            refused_results(job.taskId)
            status, text = post(headers(job.taskId), results(job, media)[:-30])
            assert status == 500 and "EOF" in text, (status, text)
            continue
        assert post(headers(job.taskId), results(job, media)) == (200, "OK")
        assert post(headers(job.taskId), results(job, media)) == (200, "OK"), "a second answer is no error"
    assert jobs, "no job came"
    print(f"{jobs} jobs")
