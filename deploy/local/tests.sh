run_tests() {
  # Minutes for one project, several times what it takes: one that hangs fails, and the others run.
  local filter=(--filter-not-trait "Round=full") limit=40
  case ${1:-} in
    --full) filter=() limit=600 ;;
    '') ;;
    *) die "test does not know '$1'; it takes --full" ;;
  esac
  install_packages run
  install_packages test
  require_sdk
  # As an agent starts trainers: on one thread, since sums on two are other sums, and tests that compare bits share the cores with others.
  export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
  quietly "building everything" dotnet build "$root/Cluster.sln" -c Release -v quiet -nologo

  local results=$root/artifacts/test-results status=0 project name
  rm -rf "$results"
  mkdir -p "$results"
  # EndToEnd waits for its processes most of the time: it runs beside the others, and is told after them.
  local beside=$results/EndToEnd.Tests.log pid
  (run_project EndToEnd.Tests) >"$beside" 2>&1 &
  pid=$!
  # shellcheck disable=SC2064
  trap "kill $pid" EXIT
  for project in "$root"/tests/*.Tests; do
    name=$(basename "$project")
    if [ "$name" != EndToEnd.Tests ]; then (run_project "$name") || status=1; fi
  done
  wait "$pid" || status=1
  trap - EXIT
  cat "$beside"
  total_results "$results" "$status"
}

# Becomes the tests of one project; reads filter, limit and results of run_tests.
run_project() {
  local name=$1
  say "── $name"
  # Exit code 8 means that the filter left no test to run. The second limit is for a test that does not hear of the first.
  cd "$root"
  exec timeout --kill-after=1m "$((limit + 1))m" "$root/artifacts/bin/$name/release/Cluster.$name" \
    "${filter[@]}" --ignore-exit-code 8 --timeout "${limit}m" \
    --report-xunit-trx --report-xunit-trx-filename "$name.trx" --results-directory "$results" --no-progress
}

# Sums the TRX files. A project that died without writing one counts as a failure.
total_results() {
  local results=$1 status=$2 passed=0 failed=0 skipped=0 project file line
  for project in "$root"/tests/*.Tests; do
    file=$results/$(basename "$project").trx
    if [ ! -f "$file" ]; then
      say "no results from $(basename "$project")"
      failed=$((failed + 1))
      continue
    fi
    # One that was cut off at the limit has not been told yet.
    grep -o 'testName="[^"]*" outcome="Failed"' "$file" | sed 's/testName="\(.*\)" outcome.*/failed: \1/' >&2 || true
    line=$(grep -o '<Counters [^>]*>' "$file")
    passed=$((passed + $(counter passed "$line")))
    failed=$((failed + $(counter failed "$line") + $(counter error "$line")))
    skipped=$((skipped + $(counter notExecuted "$line")))
  done
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" -eq 0 ]
}

counter() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$2" | grep . || echo 0; }
