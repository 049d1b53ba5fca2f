# No build server is left behind: `./cluster down` promises that no process stays.
export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 UseSharedCompilation=false DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

require_sdk() {
  command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: https://dotnet.microsoft.com/download"
}

build_programs() {
  require_sdk
  local program
  for program in services/Scheduler services/Worker services/Dashboard; do
    quietly "building $program" dotnet build "$root/$program" -c Release -v quiet -nologo
  done
  # Compiled ahead, for a start in half the time.
  quietly "building clients/Cli" dotnet publish "$root/clients/Cli" -c Release -v quiet -nologo
}

prepare() {
  [ "${CLUSTER_PREBUILT:-}" = 1 ] && return 0
  install_packages run
  build_programs
}

binary() { printf '%s' "$root/artifacts/bin/$1/release/Cluster.$1"; }

# As it was published, unless it has been built anew since then, by hand or for the tests.
client_program() {
  local built=$root/artifacts/bin/Cli/release published=$root/artifacts/publish/Cli/release part
  if [ "${CLUSTER_PREBUILT:-}" != 1 ] && [ -x "$published/Cluster.Cli" ]; then
    for part in "$built"/Cluster.*.dll; do
      if [ "$part" -nt "$published/${part##*/}" ]; then published=$built; fi
    done
    built=$published
  fi
  printf '%s' "$built/Cluster.Cli"
}

client() {
  local cli
  cli=$(client_program)
  if [ ! -x "$cli" ]; then
    prepare
    cli=$(client_program)
  fi
  if [ -z "${CLUSTER_TOKEN:-}${CLUSTER_TOKEN_FILE:-}" ] && [ -f "$state/token" ]; then
    export CLUSTER_TOKEN_FILE=$state/token
  fi
  if [ -z "${CLUSTER_CA_FILE:-}" ] && [ -f "$state/certs/authority.crt" ]; then
    export CLUSTER_CA_FILE=$state/certs/authority.crt
  fi
  if [ -z "${CLUSTER_SERVER:-}" ] && [ -f "$state/server" ]; then
    CLUSTER_SERVER=$(cat "$state/server")
    export CLUSTER_SERVER
  fi
  CLUSTER_ROOT=$root CLUSTER_STATE=$state "$cli" "$@"
}
