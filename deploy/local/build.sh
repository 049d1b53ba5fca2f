# No build server is left behind: `./cluster down` promises that no process stays.
export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 UseSharedCompilation=false DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

require_sdk() {
  command -v dotnet >/dev/null || die "the .NET SDK 10 is missing: https://dotnet.microsoft.com/download"
}

build_native() {
  local source=$root/polyfills/TorchSharp/native build=$root/polyfills/TorchSharp/native/build
  if [ ! -f "$build/Makefile" ]; then
    quietly "configuring the libtorch shim" cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release
  fi
  quietly "building the libtorch shim" cmake --build "$build" --parallel 2
}

build_shipped() {
  require_sdk
  quietly "building the scheduler, the worker and the client" \
    dotnet build "$root/Shipped.slnf" -c Release -v quiet -nologo
}

prepare() {
  [ "${CLUSTER_PREBUILT:-}" = 1 ] && return 0
  install_packages run
  build_native
  build_shipped
}

binary() { printf '%s' "$root/artifacts/bin/$1/release/Cluster.$1"; }

client() {
  local cli
  cli=$(binary Cli)
  [ -x "$cli" ] || prepare
  if [ -z "${CLUSTER_TOKEN:-}${CLUSTER_TOKEN_FILE:-}" ] && [ -f "$state/token" ]; then
    export CLUSTER_TOKEN_FILE=$state/token
  fi
  if [ -z "${CLUSTER_SERVER:-}" ] && [ -f "$state/server" ]; then
    CLUSTER_SERVER=$(cat "$state/server")
    export CLUSTER_SERVER
  fi
  CLUSTER_ROOT=$root CLUSTER_STATE=$state "$cli" "$@"
}
