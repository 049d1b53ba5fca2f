-- Everything the scheduler remembers. Times are UTC. Enumerations are stored by name, for people who read with psql.

create table jobs (
    id                uuid        primary key,
    owner             text        not null,
    request_id        text        not null,
    name              text        not null,
    workspace         text        not null,
    priority          integer     not null,
    spec              jsonb       not null,
    wait_for_capacity boolean     not null,
    traceparent       text        not null,
    tracestate        text        not null,
    state             text        not null check (state in
        ('Queued', 'Paused', 'Starting', 'Running', 'Stopping', 'Succeeded', 'Failed', 'Cancelled')),
    reason            text        not null,
    -- What a Stopping job becomes once its trainers have ended.
    stopping_to       text        check (stopping_to in ('Cancelled', 'Queued')),
    -- Raised by every write; a writer that expects another one has lost.
    version           bigint      not null,
    last_event        bigint      not null,
    attempt           integer     not null,
    restarts          integer     not null,
    -- Launches in a row that never came to run; they lengthen the backoff but are no restarts.
    launch_failures   integer     not null,
    not_before        timestamptz,
    avoid_nodes       uuid[]      not null,
    created_at        timestamptz not null,
    started_at        timestamptz,
    finished_at       timestamptz,
    unique (owner, request_id)
);
create index jobs_newest on jobs (created_at desc, id desc);
create index jobs_unfinished on jobs (state) where state not in ('Succeeded', 'Failed', 'Cancelled');

-- Append-only: one row a transition.
create table job_events (
    job_id     uuid        not null references jobs on delete cascade,
    sequence   bigint      not null,
    time       timestamptz not null,
    from_state text        not null,
    to_state   text        not null,
    reason     text        not null,
    attempt    integer     not null,
    primary key (job_id, sequence)
);

-- Where a queued job stands, as of the last placement cycle that changed it. Not versioned: it is the placement's, not the job's.
create table queue_standings (
    job_id   uuid    primary key references jobs on delete cascade,
    position integer not null,
    reason   text    not null
);

create table nodes (
    id               uuid        primary key,
    name             text        not null,
    agent_address    text        not null,
    agent_version    text        not null,
    incarnation      text        not null,
    -- Raised when a lease is lost and when the agent restarts: grants of an older epoch are gone.
    epoch            bigint      not null,
    state            text        not null check (state in ('Ready', 'Lost')),
    -- False while the agent still runs trainers of stale attempts; nothing is placed there until they have ended.
    clean            boolean     not null,
    devices          jsonb       not null,
    labels           jsonb       not null,
    data_sets        text[]      not null,
    utilization      jsonb       not null,
    registered_at    timestamptz not null,
    lease_expires_at timestamptz not null,
    lost_at          timestamptz
);

create table attempts (
    job_id               uuid        not null references jobs on delete cascade,
    number               integer     not null,
    -- SHA-256 of the secret's text; the secret itself is nowhere.
    secret_hash          bytea       not null,
    state                text        not null check (state in ('Launching', 'Launched', 'Running', 'Ending', 'Ended')),
    world_size           integer     not null,
    resume_checkpoint_id uuid,
    -- Points of earlier attempts beyond this step are superseded.
    resume_step          bigint      not null,
    created_at           timestamptz not null,
    started_at           timestamptz,
    ending_at            timestamptz,
    -- Nothing is accepted from the attempt from here on.
    ended_at             timestamptz,
    -- Why it is ending; empty while it is not.
    reason               text        not null,
    launch_failed        boolean     not null,
    primary key (job_id, number)
);

-- A rank of an attempt, and with it the device that it holds.
create table device_grants (
    job_id       uuid        not null,
    attempt      integer     not null,
    rank         integer     not null,
    node_id      uuid        not null,
    node_name    text        not null,
    node_epoch   bigint      not null,
    device       text        not null,
    granted_at   timestamptz not null,
    started_at   timestamptz,
    -- Confirmed: reaped by the agent, or lost with its node.
    gone_at      timestamptz,
    lost         boolean     not null,
    exit_code    integer,
    exit_signal  integer,
    exit_message text        not null,
    released_at  timestamptz,
    primary key (job_id, attempt, rank),
    foreign key (job_id, attempt) references attempts on delete cascade
);
-- Whatever goes wrong above, no device is ever granted twice.
create unique index device_grants_active on device_grants (node_id, device) where released_at is null;

create table rendezvous_endpoints (
    job_id  uuid    not null,
    attempt integer not null,
    name    text    not null,
    rank    integer not null,
    node_id text    not null,
    address text    not null,
    primary key (job_id, attempt, name, rank),
    foreign key (job_id, attempt) references attempts on delete cascade
);

-- Reports that were stored, so that one sent again changes nothing.
create table attempt_reports (
    job_id   uuid    not null,
    attempt  integer not null,
    rank     integer not null,
    sequence bigint  not null,
    primary key (job_id, attempt, rank, sequence),
    foreign key (job_id, attempt) references attempts on delete cascade
);

-- A run is a job under the job's id: its newest figures, written by reports and not by the job's grain.
create table runs (
    job_id      uuid primary key references jobs on delete cascade,
    progress    jsonb,
    environment jsonb
);

-- Ascending in the order of commits within one job: writers hold the job's advisory lock (see AdvisoryLocks).
create sequence metrics_cursor;
create table metrics (
    job_id  uuid             not null,
    attempt integer          not null,
    rank    integer          not null,
    name    text             not null,
    step    bigint           not null,
    epoch   integer          not null,
    time    timestamptz      not null,
    value   double precision not null,
    cursor  bigint           not null default nextval('metrics_cursor')
) partition by hash (job_id);
do $$
begin
    for i in 0..15 loop
        execute format('create table metrics_%s partition of metrics for values with (modulus 16, remainder %s)', i, i);
    end loop;
end $$;
create index metrics_series on metrics (job_id, name, step);
create index metrics_arrival on metrics (job_id, cursor);

create sequence logs_sequence;
create table logs (
    job_id   uuid        not null,
    sequence bigint      not null default nextval('logs_sequence'),
    time     timestamptz not null,
    attempt  integer     not null,
    rank     integer     not null,
    stream   text        not null,
    text     text        not null,
    primary key (job_id, sequence)
) partition by hash (job_id);
do $$
begin
    for i in 0..15 loop
        execute format('create table logs_%s partition of logs for values with (modulus 16, remainder %s)', i, i);
    end loop;
end $$;

-- The number of the next log line expected of an attempt's node; lines before it are repetitions.
create table log_cursors (
    job_id  uuid    not null,
    attempt integer not null,
    node_id uuid    not null,
    next    bigint  not null,
    primary key (job_id, attempt, node_id),
    foreign key (job_id, attempt) references attempts on delete cascade
);

create table checkpoint_chunks (
    job_id uuid        not null references jobs on delete cascade,
    sha256 bytea       not null,
    bytes  integer     not null,
    data   bytea       not null,
    -- When a trainer last stored or re-stored it: a chunk on its way into a checkpoint is not garbage.
    put_at timestamptz not null,
    primary key (job_id, sha256)
);
-- Weights do not compress; without the attempt a write is half as fast again.
alter table checkpoint_chunks alter column data set storage external;

-- One rank's part of a checkpoint that is not whole yet.
create table checkpoint_parts (
    job_id   uuid    not null,
    attempt  integer not null,
    step     bigint  not null,
    rank     integer not null,
    parts    integer not null,
    manifest bytea   not null,
    primary key (job_id, attempt, step, rank),
    foreign key (job_id, attempt) references attempts on delete cascade
);

-- A row here is a whole checkpoint: all of its chunks are stored.
create table checkpoints (
    id                  uuid             primary key,
    job_id              uuid             not null references jobs on delete cascade,
    owner               text             not null,
    attempt             integer          not null,
    step                bigint           not null,
    epoch               integer          not null,
    bytes               bigint           not null,
    validation_accuracy double precision,
    manifest            bytea            not null,
    created_at          timestamptz      not null,
    unique (job_id, attempt, step)
);
create index checkpoints_newest on checkpoints (job_id, step desc);

create table checkpoint_chunk_refs (
    checkpoint_id uuid  not null references checkpoints on delete cascade,
    job_id        uuid  not null,
    sha256        bytea not null,
    primary key (checkpoint_id, sha256),
    foreign key (job_id, sha256) references checkpoint_chunks
);
create index checkpoint_chunk_refs_chunk on checkpoint_chunk_refs (job_id, sha256);

create table tokens (
    -- SHA-256 of the token's text; the token itself is nowhere.
    hash       bytea       primary key,
    owner      text        not null,
    scope      text        not null,
    created_at timestamptz not null
);
