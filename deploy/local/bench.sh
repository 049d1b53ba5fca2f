# The environment is left as it is, so that the peers run as installed; the bench prints what it runs with.
run_bench() {
  install_packages run
  install_packages test # the peers
  if [ "${1:-}" = scheduler ]; then
    install_packages slurm
    build_programs
  fi
  require_sdk
  quietly "building the benchmarks" dotnet build "$root/bench/Bench.csproj" -c Release -v quiet -nologo
  CLUSTER_ROOT=$root "$(binary Bench)" "$@"
}
