# No build server is left behind: `./cluster down` promises that no process stays.
export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 UseSharedCompilation=false DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

require_sdk() {
  command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: https://dotnet.microsoft.com/download"
}

build_programs() {
  require_sdk
  local program
  for program in services/Scheduler services/Worker services/Dashboard clients/Cli; do
    quietly "building $program" dotnet build "$root/$program" -c Release -v quiet -nologo
  done
}

prepare() {
  [ "${CLUSTER_PREBUILT:-}" = 1 ] && return 0
  install_packages run
  build_programs
}

binary() { printf '%s' "$root/artifacts/bin/$1/release/Cluster.$1"; }

client() {
  local cli
  cli=$(binary Cli)
  [ -x "$cli" ] || prepare
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
