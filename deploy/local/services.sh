grpc_port=${CLUSTER_GRPC_PORT:-7070}
http_port=${CLUSTER_HTTP_PORT:-7080} # of the dashboard
rest_port=${CLUSTER_REST_PORT:-7081}
silo_port=${CLUSTER_SILO_PORT:-7090}

# Each further scheduler listens a hundred ports above the one before it.
scheduler_name() { if [ "$1" -eq 1 ]; then echo scheduler; else echo "scheduler-$1"; fi; }
port_of() { echo $(($1 + ($2 - 1) * 100)); } # port of the first scheduler, number

start_all() {
  local schedulers=1 workers=2 devices=1 telemetry= scheme=http is_tls=false index addresses= tls=()
  while [ $# -gt 0 ]; do
    case $1 in
      --schedulers) schedulers=${2:?--schedulers needs a number}; shift 2 ;;
      --workers) workers=${2:?--workers needs a number}; shift 2 ;;
      --devices) devices=${2:?--devices needs a number}; shift 2 ;;
      --tls) scheme=https is_tls=true; shift ;;
      --telemetry) telemetry=1; shift ;;
      *) die "up does not know '$1'; it takes --schedulers N, --workers N, --devices N, --tls and --telemetry" ;;
    esac
  done
  install -d -m 700 "$state" "$state/run" "$state/logs"
  make_token "$state/token"
  make_token "$state/node-token"
  for index in $(seq 1 "$schedulers"); do
    addresses+=${addresses:+,}$scheme://127.0.0.1:$(port_of "$grpc_port" "$index")
  done
  printf '%s\n' "$addresses" >"$state/server"

  if [ -n "$telemetry" ]; then start_telemetry; fi
  make_tls server dashboard
  start_service dashboard Dashboard "${tls[@]}" \
    "Dashboard__SchedulerAddress=$addresses" "Dashboard__HttpPort=$http_port" "Dashboard__KeyFolder=$state/dashboard-keys"
  start_postgres
  for index in $(seq 1 "$schedulers"); do
    make_tls scheduler "$(scheduler_name "$index")"
    start_service "$(scheduler_name "$index")" Scheduler "${tls[@]}" \
      "Persistence__ConnectionString=$(pg_connection)" \
      "Access__AdminTokenFile=$state/token" "Access__NodeTokenFile=$state/node-token" \
      "Scheduler__GrpcPort=$(port_of "$grpc_port" "$index")" "Scheduler__HttpPort=$(port_of "$rest_port" "$index")" \
      "Silo__Port=$(port_of "$silo_port" "$index")" "Silo__ClusterId=$pg_id"
    wait_for "scheduler $index" "$(scheduler_name "$index")" \
      client --server "$scheme://127.0.0.1:$(port_of "$grpc_port" "$index")" node list
  done

  local cores per_device memory_kib
  cores=$(nproc)
  memory_kib=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)
  per_device=$((cores / (workers * devices)))
  [ "$per_device" -ge 1 ] || per_device=1
  for index in $(seq 1 "$workers"); do
    make_tls node "worker-$index"
    start_service "worker-$index" Worker "${tls[@]}" \
      "Agent__SchedulerAddress=$addresses" "Agent__NodeTokenFile=$state/node-token" \
      "Agent__Name=worker-$index" "Agent__StateFolder=$state/worker-$index" "Agent__TrainerTls=$is_tls" \
      "Agent__CpuSlots=$devices" "Agent__CoresPerSlot=$per_device" "Agent__MemoryBytes=$((memory_kib * 1024 / workers))"
  done
  wait_for "the workers" "worker-$workers" nodes_are_ready "$workers"
  wait_for "the dashboard" dashboard bash -c "exec 3<>/dev/tcp/127.0.0.1/$http_port"
  local here=$scheme://127.0.0.1
  say "up: gRPC on $addresses, REST on $here:$rest_port, dashboard on $here:$http_port (its token is in $state/token)"
}

# With --tls: a certificate of the cluster's own authority, for a service on this machine. What the service is told goes into the array tls.
make_tls() { # unit, name
  local certs=$state/certs
  tls=()
  [ "$scheme" = https ] || return 0
  [ -f "$certs/$2.crt" ] || client certs "$1" "$2" --host 127.0.0.1 localhost --folder "$certs" >/dev/null
  tls=("Tls__CertificateFile=$certs/$2.crt" "Tls__KeyFile=$certs/$2.key" "Tls__AuthorityFile=$certs/authority.crt")
}

make_token() {
  [ -s "$1" ] || (umask 077 && head -c 32 /dev/urandom | base64 -w0 | tr '+/' '-_' | tr -d '=' >"$1")
}

# The process gets a session of its own, so that it outlives this shell, and a pid file.
start_service() { # name, project, VARIABLE=value…
  local name=$1 project=$2 arguments=() own=()
  shift 2
  is_running "$name" && return 0
  [ "$project" = Worker ] && arguments=(agent)
  # What this one alone is to be told, a line for each VARIABLE=value.
  [ ! -f "$state/settings/$name" ] || mapfile -t own <"$state/settings/$name"
  say "starting $name …"
  env "$@" "${own[@]}" setsid --fork bash -c 'echo $$ >"$1"; exec "${@:3}" >>"$2" 2>&1 </dev/null' start \
    "$state/run/$name.pid" "$state/logs/$name.log" "$(program_of "$project")" "${arguments[@]}"
}

program_of() { if [ "$1" = Telemetry ]; then telemetry_program; else binary "$1"; fi; }

our_programs='/(Cluster\.(Scheduler|Worker|Dashboard)|Aspire\.Dashboard)'

# A pid file alone proves nothing: the number may have been given to another process since.
is_running() {
  local file=$state/run/$1.pid pid
  [ -s "$file" ] || return 1
  pid=$(cat "$file")
  [ -d "/proc/$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qE "$our_programs|^start "
}

wait_for() { # what, service, command…
  local what=$1 service=$2 attempt
  shift 2
  for attempt in $(seq 1 120); do
    "$@" >/dev/null 2>&1 && return 0
    if [ "$attempt" -gt 4 ] && ! is_running "$service"; then break; fi
    sleep 0.5
  done
  tail -n 20 "$state/logs/$service.log" >&2 || true
  die "$what did not come up; the log is $state/logs/$service.log"
}

nodes_are_ready() { [ "$(client node list --json | grep -o 'NODE_STATE_READY' | wc -l)" -ge "$1" ]; }

stop_all() {
  local file
  for file in "$state"/run/dashboard.pid "$state"/run/worker-*.pid "$state"/run/scheduler*.pid "$state"/run/telemetry.pid; do
    [ -e "$file" ] && stop_service "$(basename "$file" .pid)"
  done
  stop_postgres
  if [ "${1:-}" = --wipe ]; then
    wipe_postgres
    rm -rf "$state"
  fi
}

stop_service() {
  local name=$1 pid
  if is_running "$name"; then
    pid=$(cat "$state/run/$name.pid")
    say "stopping $name …"
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 1 60); do
      [ -d "/proc/$pid" ] || break
      sleep 0.25
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$state/run/$name.pid"
}
