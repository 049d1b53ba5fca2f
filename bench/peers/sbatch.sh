#!/bin/bash
# Submits a batch job so many times from so many clients at once, and prints when that began and when the last was acknowledged.
# usage: sbatch.sh JOBS CLIENTS ARGUMENT…
set -euo pipefail
jobs=$1 clients=$2
shift 2
began=$EPOCHREALTIME
if [ "$clients" = 1 ]; then
  for ((job = 0; job < jobs; job++)); do sbatch --quiet "$@"; done
else
  seq "$jobs" | xargs -P "$clients" -I{} sbatch --quiet "$@"
fi
echo "$began $EPOCHREALTIME"
