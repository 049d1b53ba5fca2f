# Submits a job file and prints the job's states until it ends. clients/python/README.md says how to install cluster_client; without that:
#   python3 clients/python/make_contracts.py
#   PYTHONPATH=clients/python/src python3 examples/submit.py examples/lenet5-data-parallel.yaml
import sys
from cluster_client import Cluster, flat

cluster = Cluster()
job = cluster.submit(sys.argv[1])
for now in cluster.watch(job.id):
    print(now.id, flat(now)["state"], "step", now.progress.step, flush=True)
