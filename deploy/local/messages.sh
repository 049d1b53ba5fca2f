say() { printf '%s\n' "$*" >&2; }
die() { say "cluster: $*"; exit 1; }

# Runs a long step in silence; its output is shown only if it fails.
quietly() {
  local what=$1 log
  shift
  log=$(mktemp)
  say "$what …"
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    say "(whole log: $log)"
    die "failed: $what"
  fi
  rm -f "$log"
}
