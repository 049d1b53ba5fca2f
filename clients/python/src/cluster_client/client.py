"""Thin calls on the scheduler's services. A call that it refuses raises grpc.RpcError with the reason."""
import ipaddress
import json
import os
import time
import urllib.parse
import uuid

import grpc

from ._wire import Stub, services
from .rows import flat

DEFAULT_SERVER = "http://127.0.0.1:7070"
ANSWER_SECONDS = 30
LONGEST_ABSENCE_SECONDS = 120
SECONDS_BETWEEN_TRIES = 1
LARGEST_PAGE = 1000

# A connection that is dead though nobody closed it is found out within 20 seconds, as by the command line.
_KEEP_ALIVE = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 10_000),
               ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)]


class Cluster:
    """The way to a scheduler.

    server: its address, or several with commas between (otherwise CLUSTER_SERVER, otherwise http://127.0.0.1:7070).
    token: otherwise CLUSTER_TOKEN, or what is in the file that CLUSTER_TOKEN_FILE names.
    Whom https:// trusts, the file of authorities that CLUSTER_CA_FILE names says.
    """

    def __init__(self, server=None, token=None):
        addresses = (server or os.environ.get("CLUSTER_SERVER") or DEFAULT_SERVER).split(",")
        token = token or _token()
        metadata = [("authorization", f"Bearer {token}")] if token else []
        self._channels = [_channel(address.strip()) for address in addresses]
        self._stubs = [{name: Stub(channel, service, metadata) for name, service in services.items()} for channel in self._channels]
        self._current = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for channel in self._channels:
            channel.close()

    def call(self, service, method, **fields):
        """Any call that answers once, by its names in the protos; the next scheduler is asked where one does not answer."""
        for tries_left in reversed(range(len(self._stubs))):
            try:
                return getattr(self._stubs[self._current][service], method)(timeout=ANSWER_SECONDS, **fields)
            except grpc.RpcError as fault:
                if fault.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                self._current = (self._current + 1) % len(self._stubs)
                if not tries_left:
                    raise

    def submit(self, job, *, wait_for_capacity=False, request_id=None):
        """Queues a job: a job file's path, or a dictionary of what such a file says. Twice with one request_id makes one job."""
        return self.call("JobService", "SubmitJob", request_id=request_id or str(uuid.uuid4()), yaml=_text(job),
                         wait_for_capacity=wait_for_capacity).job

    def submit_experiment(self, file, *, wait_for_capacity=False, request_id=None):
        """Queues all jobs of a file with variants, or begins a search; given as in submit."""
        return self.call("ExperimentService", "SubmitExperiment", request_id=request_id or str(uuid.uuid4()), yaml=_text(file),
                         wait_for_capacity=wait_for_capacity).experiment

    def job(self, job_id):
        """A job as it is now; here as everywhere a unique beginning of its id will do."""
        return self.call("JobService", "GetJob", job_id=job_id).job

    def jobs(self, *, limit=100, **filters):
        """The newest so many jobs, all with limit=None; filters are ListJobsRequest's, such as queue="night"."""
        return self._pages("JobService", "ListJobs", "jobs", limit, **filters)

    def cancel(self, job_id, reason=""):
        return self.call("JobService", "CancelJob", job_id=job_id, reason=reason).job

    def watch(self, job_id):
        """The job at each of its events and at each progress until it is over, over restarts of the scheduler."""
        seen = {"job_id": job_id, "after_sequence": 0}
        for message in self._outliving("JobService", "WatchJob", seen):
            seen.update(job_id=message.job.id, after_sequence=max(seen["after_sequence"], message.event.sequence))
            yield message.job

    def wait(self, job_id):
        """The job once it is over."""
        *_, last = self.watch(job_id)
        return last

    def logs(self, job_id, *, follow=False, tail=0):
        """What the trainers wrote, line by line; with follow until the job is over. Over restarts of the scheduler."""
        seen = {"job_id": job_id, "follow": follow, "tail": tail}
        for message in self._outliving("JobService", "StreamLogs", seen):
            for line in message.lines:
                # Behind what has come there is no last part any more: what is written meanwhile may be longer.
                seen.update(tail=0, after_sequence=line.sequence)
                yield line.text

    def runs(self, where="", sort="", *, limit=None):
        """Runs as rows: settings under their paths in a job file, the newest figures, and state in words. All that meet the condition.

        where: a condition such as "lr > 0.01 and model = 'alexnet'". sort: a column such as accuracy; the best come first.
        """
        return [_run_row(run) for run in self._pages("RunService", "ListRuns", "runs", limit, where=where, sort=sort)]

    def metrics(self, job_id, names=(), *, max_points=0):
        """A run's points as rows: series, step, epoch, time, value. max_points bounds each series; see StreamMetricsRequest."""
        stream = self._stubs[self._current]["RunService"].StreamMetrics(job_id=job_id, names=list(names), max_points=max_points)
        return [{"series": point.name, "step": point.step, "epoch": point.epoch, "time": point.time.ToDatetime(), "value": point.value}
                for message in stream for point in message.points]

    def _outliving(self, service, method, fields):
        """A stream's messages; where a scheduler goes away the next is asked, by what the caller has made of the fields meanwhile."""
        lost = None
        while True:
            try:
                for message in getattr(self._stubs[self._current][service], method)(**fields):
                    lost = None
                    yield message
                return
            except grpc.RpcError as fault:
                lost = lost or time.monotonic()
                if fault.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() - lost > LONGEST_ABSENCE_SECONDS:
                    raise
            self._current = (self._current + 1) % len(self._stubs)
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _pages(self, service, method, entries, limit, **fields):
        found, token = [], ""
        while limit is None or len(found) < limit:
            size = LARGEST_PAGE if limit is None else min(limit - len(found), LARGEST_PAGE)
            page = self.call(service, method, page_size=size, page_token=token, **fields)
            found.extend(getattr(page, entries))
            token = page.next_page_token
            if not token:
                break
        return found


def _run_row(run):
    # The newest figures stand by themselves, since no setting is called so.
    return {key.removeprefix("progress."): value for key, value in flat(run).items()}


def _text(job):
    if isinstance(job, dict):
        return json.dumps(job)  # which is YAML too
    with open(job, encoding="utf-8") as file:
        return file.read()


def _token():
    token, file = os.environ.get("CLUSTER_TOKEN"), os.environ.get("CLUSTER_TOKEN_FILE")
    if token or not file:
        return token
    with open(file, encoding="utf-8") as content:
        lines = [line.strip() for line in content if line.strip()]
    return lines[-1] if lines else None  # while one takes another's place the file has both, the new one last


def _authority():
    if path := os.environ.get("CLUSTER_CA_FILE"):
        with open(path, "rb") as file:
            return file.read()
    return None  # gRPC's own list


def _channel(address):
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"server is {address} but must be an address; write it as {DEFAULT_SERVER}")
    # gRPC in plain text passes no proxy, and no proxy elsewhere reaches this machine.
    proxy = int(parts.scheme == "https" and not _is_loopback(parts.hostname))
    options = [*_KEEP_ALIVE, ("grpc.enable_http_proxy", proxy)]
    target = f"{parts.netloc}" if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    if parts.scheme == "https":
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(_authority()), options)
    return grpc.insecure_channel(target, options)


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
