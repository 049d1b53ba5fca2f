# Submits a job file and prints the job's states until it ends. Once, to make the messages (any protoc will do):
#   protoc -I shared/Contracts/Protos --python_out=. shared/Contracts/Protos/{cluster/v1,google/api}/*.proto
#   (google/api only where Python has no googleapis-common-protos, which brings it)
#   PYTHONPATH=. python3 examples/submit.py examples/lenet5-data-parallel.yaml
import os, sys, uuid, grpc
from cluster.v1 import jobs_pb2 as jobs

scheme, host = os.environ.get("CLUSTER_SERVER", "http://127.0.0.1:7070").split("://")
authority = os.environ.get("CLUSTER_CA_FILE")  # of https://; otherwise gRPC's own list
trust = grpc.ssl_channel_credentials(open(authority, "rb").read() if authority else None)
channel = grpc.secure_channel(host, trust) if scheme == "https" else grpc.insecure_channel(host)
token = os.environ.get("CLUSTER_TOKEN") or open(os.environ.get("CLUSTER_TOKEN_FILE", ".cluster/token")).read().strip()
access = [("authorization", f"Bearer {token}")]
submit = channel.unary_unary("/cluster.v1.JobService/SubmitJob", jobs.SubmitJobRequest.SerializeToString, jobs.SubmitJobResponse.FromString)
watch = channel.unary_stream("/cluster.v1.JobService/WatchJob", jobs.WatchJobRequest.SerializeToString, jobs.WatchJobResponse.FromString)
request = jobs.SubmitJobRequest(request_id=str(uuid.uuid4()), yaml=open(sys.argv[1]).read())
job = submit(request, metadata=access).job
for now in watch(jobs.WatchJobRequest(job_id=job.id), metadata=access):
    print(now.job.id, jobs.JobState.Name(now.job.state), "step", now.job.progress.step, flush=True)
