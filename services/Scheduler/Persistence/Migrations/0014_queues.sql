-- Queues with what is owed to them, and what placement needs to know of jobs that run.

create table queues (
    name       text             primary key,
    -- Its share comes out of this queue's; null: out of the cluster.
    parent     text             references queues,
    weight     double precision not null,
    -- For each kind of device: nominal, borrowing, lending and owner limit.
    quotas     jsonb            not null,
    -- How many devices beyond its quota it used while others waited, as a mean in which older use counts less: what it was at a time, and
    -- what is used since. Placement writes it when the use changes.
    past_as_of timestamptz,
    past_cpu   double precision not null default 0,
    past_cuda  double precision not null default 0,
    rate_cpu   double precision not null default 0,
    rate_cuda  double precision not null default 0
);
insert into queues (name, weight, quotas) values ('default', 1, '[]');

-- Where the job waits or runs, or did last.
alter table jobs add column queue text not null default 'default';

alter table job_queue
    -- A queue with jobs cannot go, nor can a job come into one that is gone.
    add constraint job_queue_in_queue foreign key (queue) references queues,
    -- The job's, whose limit its devices count in.
    add column owner text not null default '',
    -- Of a job that holds devices: when its newest checkpoint was stored.
    add column committed_at timestamptz,
    -- When it is likely to end, and when it has ended with nine chances in ten; null: not known yet.
    add column expected_end timestamptz,
    add column expected_end_late timestamptz;
update job_queue q set owner = j.owner from jobs j where j.id = q.job_id;
alter table job_queue alter column owner drop default;
create index job_queue_by_queue on job_queue (queue, priority desc, age, job_id) include (not_before)
    where state = 'Queued' and forecast_until is null;
drop index job_queue_line;

-- An attempt that is stopped for another job: for which, by when its devices are free at the latest, and the device-seconds of work that
-- it lost by that, once it is over.
alter table attempts
    add column preempted_for uuid,
    add column release_by timestamptz,
    add column lost_device_seconds double precision;
create index attempts_preempted on attempts (job_id) where preempted_for is not null;

alter table placement_changes
    drop constraint placement_changes_check,
    add column queue text,
    add check (num_nonnulls(job_id, node_id, queue) = 1);

create function note_changed_queue() returns trigger language plpgsql as $$
begin
    insert into placement_changes (queue) values (coalesce(new.name, old.name));
    return null;
end $$;
create trigger note_new_or_gone_queue after insert or delete on queues for each row execute function note_changed_queue();
-- Not for its use, which placement itself writes.
create trigger note_changed_queue after update on queues for each row
    when ((old.parent, old.weight, old.quotas) is distinct from (new.parent, new.weight, new.quotas))
    execute function note_changed_queue();

-- Of jobs that run placement hears when they begin to, are about to end, store a checkpoint, or are expected to end at another time.
drop trigger note_changed_job on job_queue;
create trigger note_changed_job after update on job_queue for each row
    when ((old.state, old.queue, old.priority, old.not_before, old.avoid_nodes, old.cpu_bytes, old.gpu_bytes, old.forecast_until,
            old.committed_at, old.expected_end, old.expected_end_late)
        is distinct from
            (new.state, new.queue, new.priority, new.not_before, new.avoid_nodes, new.cpu_bytes, new.gpu_bytes, new.forecast_until,
            new.committed_at, new.expected_end, new.expected_end_late))
    execute function note_changed_job();

-- How long jobs ran that are alike in all that makes them long: their seconds' logarithm, in which later ones count more.
create table runtimes (
    -- SHA-256 of what they have in common.
    likeness     bytea            primary key,
    jobs         integer          not null,
    log_mean     double precision not null,
    log_variance double precision not null
);
alter table job_queue add column likeness bytea;

-- When waiting jobs are expected to start, as of the last time that it was reckoned.
create table expected_starts (
    job_id   uuid        primary key,
    -- It starts before it as probably as after.
    likely   timestamptz not null,
    -- It has started by then with nine chances in ten.
    late     timestamptz not null,
    -- What would let it start sooner, one a line.
    sooner   text        not null
);

-- The first that was said to each job that waited, to be compared with what came true.
create table start_predictions (
    job_id       uuid        primary key references jobs on delete cascade,
    queue        text        not null,
    predicted_at timestamptz not null,
    likely       timestamptz not null,
    late         timestamptz not null
);
