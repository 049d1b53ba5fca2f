-- What people decide about their jobs while these wait or run.

-- A job may be stopped to be put aside, or since its time is over.
alter table jobs drop constraint jobs_stopping_to_check,
    add constraint jobs_stopping_to_check check (stopping_to in ('Cancelled', 'Queued', 'Paused', 'Failed')),
    -- "timed_out", …: why it has ended, for programs; mostly empty.
    add column reason_code text not null default '',
    -- How long it has trained in the attempts that are over.
    add column ran interval not null default '0';

-- It is not preempted before it has run so long.
alter table job_queue add column min_runtime interval not null default '0';

-- Which job waits for which; it is not placed until all of them have become what they are to become.
create table job_dependencies (
    job_id uuid not null references job_queue on delete cascade,
    -- No reference: what is over may be forgotten.
    on_job uuid not null,
    wanted text not null check (wanted in ('Succeeded', 'Ended')),
    primary key (job_id, on_job)
);
create index job_dependencies_on on job_dependencies (on_job);
alter table job_queue add column awaits_jobs boolean not null default false;

-- Placement hears of it as of any other change.
drop trigger note_changed_job on job_queue;
create trigger note_changed_job after update on job_queue for each row
    when ((old.state in ('Queued', 'Paused'), new.state in ('Queued', 'Paused')) is distinct from (false, false)
        and (old.state, old.queue, old.priority, old.not_before, old.avoid_nodes, old.cpu_bytes, old.gpu_bytes, old.forecast_until,
                old.awaits_jobs)
            is distinct from
            (new.state, new.queue, new.priority, new.not_before, new.avoid_nodes, new.cpu_bytes, new.gpu_bytes, new.forecast_until,
                new.awaits_jobs))
    execute function note_changed_job();

-- A job that is over leaves the queue: those that wait for it are looked at.
create function make_dependents_due() returns trigger language plpgsql as $$
begin
    update job_queue set next_due_at = '-infinity'
        where awaits_jobs and job_id in (select d.job_id from job_dependencies d join gone on d.on_job = gone.job_id);
    return null;
end $$;
create trigger make_dependents_due after delete on job_queue referencing old table as gone
    for each statement execute function make_dependents_due();

-- The jobs, not over yet, of an array of which only so many go on at once; those whose turn has not come await others, too.
create table array_turns (
    job_id        uuid    primary key references job_queue on delete cascade,
    experiment_id uuid    not null references experiments on delete cascade,
    place         integer not null,
    at_once       integer not null
);
create index array_turns_of on array_turns (experiment_id);

create function make_next_turns_due() returns trigger language plpgsql as $$
begin
    update job_queue set next_due_at = '-infinity' where awaits_jobs and job_id in (
        select t.job_id from array_turns t where t.experiment_id in (select experiment_id from gone));
    return null;
end $$;
create trigger make_next_turns_due after delete on array_turns referencing old table as gone
    for each statement execute function make_next_turns_due();

-- Numbers, from 1, of the job's failure policies that were found in what the rank wrote.
alter table device_grants add column matched_policies integer[] not null default '{}';
-- Nodes that a job keeps from for good, by its failure policies; they are among those that it avoids.
alter table jobs add column excluded_nodes uuid[] not null default '{}';

-- Jobs that failed on a node of late, a group's as one: many of them, and the node is quarantined.
create table node_faults (
    node_id uuid        not null references nodes on delete cascade,
    -- The job's experiment, or the job.
    cause   uuid        not null,
    at      timestamptz not null,
    primary key (node_id, cause)
);
