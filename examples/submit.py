"""Submits a job file from Python and watches it. Needs grpcio, and the stubs made from the protos:
python3 -m grpc_tools.protoc -I shared/Contracts/Protos --python_out=. --grpc_python_out=. shared/Contracts/Protos/cluster/v1/*.proto
"""
import os, sys, uuid
import grpc
from cluster.v1 import jobs_pb2, jobs_pb2_grpc

jobs = jobs_pb2_grpc.JobServiceStub(grpc.insecure_channel(os.environ.get("CLUSTER_SERVER", "127.0.0.1:7070").removeprefix("http://")))
token = [("authorization", "Bearer " + open(os.environ.get("CLUSTER_TOKEN_FILE", ".cluster/token")).read().strip())]
job = jobs.SubmitJob(jobs_pb2.SubmitJobRequest(request_id=str(uuid.uuid4()), yaml=open(sys.argv[1]).read()), metadata=token).job
for update in jobs.WatchJob(jobs_pb2.WatchJobRequest(job_id=job.id), metadata=token):
    job = update.job
    print(jobs_pb2.JobState.Name(job.state), job.progress.step, job.progress.train_loss, job.reason, flush=True)
sys.exit(0 if job.state == jobs_pb2.JOB_STATE_SUCCEEDED else 1)
