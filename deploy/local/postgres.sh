# A private Postgres: on a Unix socket only, with peer authentication mapped to the role "cluster".
# As root it lives outside the repository, since user postgres cannot enter /root and initdb refuses root.
pg_bin=/usr/lib/postgresql/15/bin
pg_id=$(printf '%s' "$state" | sha1sum | cut -c1-8)
if [ "$(id -u)" -eq 0 ]; then
  pg_home=/var/lib/cluster/$pg_id
  pg_socket=$pg_home
  as_postgres() { (cd / && runuser -u postgres -- "$@"); }
else
  pg_home=$state/postgres
  # A socket's path may have 107 characters, so it does not live under the state folder.
  pg_socket=${XDG_RUNTIME_DIR:-/tmp}/cluster-$pg_id
  as_postgres() { "$@"; }
fi

start_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    install -d -m 755 /var/lib/cluster
    install -d -o postgres -g postgres -m 755 "$pg_home"
  else
    install -d -m 700 "$pg_home" "$pg_socket"
  fi
  if ! as_postgres test -f "$pg_home/data/PG_VERSION"; then
    quietly "creating the database server's files" as_postgres "$pg_bin/initdb" -D "$pg_home/data" -A peer -E UTF8 --locale=C
    printf 'local all all peer map=cluster\n' | as_postgres tee "$pg_home/data/pg_hba.conf" >/dev/null
    printf 'cluster %s cluster\ncluster %s %s\n' "$(id -un)" "$(pg_user)" "$(pg_user)" \
      | as_postgres tee "$pg_home/data/pg_ident.conf" >/dev/null
  fi
  # One that is there may not answer: it recovers, or was killed and is not quite gone.
  local patience=300
  until as_postgres "$pg_bin/pg_isready" -q -h "$pg_socket"; do
    if ! as_postgres "$pg_bin/pg_ctl" -D "$pg_home/data" status >/dev/null 2>&1; then
      quietly "starting Postgres" as_postgres "$pg_bin/pg_ctl" -D "$pg_home/data" -w -l "$pg_home/server.log" \
        -o "-k $pg_socket -c listen_addresses=''" start
    fi
    [ $((patience--)) -gt 0 ] || die "Postgres runs and does not answer; its log is $pg_home/server.log"
    sleep 0.2
  done
  pg_admin -tAc "select 1 from pg_roles where rolname = 'cluster'" | grep -q 1 || pg_admin -qc 'create role cluster login'
  pg_admin -tAc "select 1 from pg_database where datname = 'cluster'" | grep -q 1 || pg_admin -qc 'create database cluster owner cluster'
}

pg_user() { if [ "$(id -u)" -eq 0 ]; then echo postgres; else id -un; fi; }
pg_admin() { as_postgres "$pg_bin/psql" -h "$pg_socket" -U "$(pg_user)" -d postgres "$@"; }
pg_connection() { printf 'Host=%s;Username=cluster;Database=cluster' "$pg_socket"; }

stop_postgres() {
  if as_postgres "$pg_bin/pg_ctl" -D "$pg_home/data" status >/dev/null 2>&1; then
    quietly "stopping Postgres" as_postgres "$pg_bin/pg_ctl" -D "$pg_home/data" -w -m fast stop
  fi
}

wipe_postgres() { rm -rf "$pg_home"; }
