#!/usr/bin/env bash
# The API by curl: submits a job file, follows the job line by line, and lists what there is.
#   examples/rest.sh examples/lenet5-data-parallel.yaml
set -euo pipefail
file=${1:?name a job file}
server=${CLUSTER_REST:-http://127.0.0.1:7081}
token=${CLUSTER_TOKEN:-$(cat "${CLUSTER_TOKEN_FILE:-.cluster/token}")}

call() { # METHOD path [curl arguments…]; the token is not for the list of processes
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --noproxy 127.0.0.1 -X "$method" -H @<(printf 'Authorization: Bearer %s' "$token") \
    -H 'Content-Type: application/json' "$@" "$server$path"
}

# A job file is text within JSON; the request's id makes a second try return the first job.
request=$(python3 -c '
import json, sys, uuid
print(json.dumps({"requestId": str(uuid.uuid4()), "yaml": open(sys.argv[1]).read()}))' "$file")
job=$(call POST /v1/jobs --data "$request" | python3 -c 'import json, sys; print(json.load(sys.stdin)["job"]["id"])')
echo "job $job"

# A stream is one JSON document a line, the last when the job is over.
call GET "/v1/jobs/$job:watch?brief=true" --no-buffer | python3 -c '
import json, sys
for line in sys.stdin:
    if line.strip():
        job = json.loads(line)["job"]
        print(job["state"], job.get("progress", {}).get("step", 0), flush=True)'

call GET "/v1/jobs/$job/logs?tail=5"
call GET "/v1/jobs?states=JOB_STATE_SUCCEEDED&pageSize=5" >/dev/null
call GET /v1/nodes
