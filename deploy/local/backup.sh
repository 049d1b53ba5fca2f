# All that a cluster remembers is in its database: jobs, runs, metrics, logs, checkpoints, and what tokens hash to.
back_up() {
  local file=${1:?backup needs the name of a file to write}
  [ ! -e "$file" ] || die "$file exists already; name another file, or delete it"
  as_postgres "$pg_bin/pg_ctl" -D "$pg_home/data" status >/dev/null 2>&1 || die "Postgres does not run here; start it with ./cluster up"
  say "writing $file …"
  # Of one moment, whatever is written meanwhile. For nobody else to read: webhooks' secrets are in it.
  if ! (umask 077 && as_postgres "$pg_bin/pg_dump" -h "$pg_socket" -U "$(pg_user)" -Fc cluster >"$file.part"); then
    rm -f "$file.part"
    die "pg_dump failed; $file is not written"
  fi
  mv "$file.part" "$file"
}

restore() {
  local file=${1:?restore needs the name of a file that backup wrote} service
  [ -r "$file" ] || die "$file cannot be read; name a file that ./cluster backup wrote"
  for service in "$state"/run/*.pid; do
    [ ! -e "$service" ] || ! is_running "$(basename "$service" .pid)" || die "the cluster runs; stop it with ./cluster down"
  done
  start_postgres
  if [ "$(pg_admin -d cluster -tAc "select count(*) from pg_tables where schemaname = 'public'")" -ne 0 ]; then
    stop_postgres
    die "this cluster has data; ./cluster down --wipe deletes it"
  fi
  say "restoring $file …"
  if ! as_postgres "$pg_bin/pg_restore" -h "$pg_socket" -U "$(pg_user)" -d cluster --no-owner --role=cluster --single-transaction \
    <"$file"; then
    stop_postgres
    die "pg_restore failed, and nothing is restored"
  fi
  stop_postgres
  say "restored; ./cluster up goes on with it"
}
