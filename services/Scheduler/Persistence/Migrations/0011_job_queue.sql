-- One small row for each job that is not over, with what placement and due work need of it: neither ever reads the wide rows of jobs.
-- Specs are protobuf, and what statements ask of them has columns of its own.

create table job_queue (
    job_id               uuid        primary key references jobs on delete cascade,
    -- State, version, pause and nodes to avoid are the job's, written with it.
    state                text        not null check (state in ('Queued', 'Paused', 'Starting', 'Running', 'Stopping')),
    version              bigint      not null,
    queue                text        not null,
    priority             integer     not null,
    -- When it was submitted.
    age                  timestamptz not null,
    not_before           timestamptz,
    avoid_nodes          uuid[]      not null,
    -- What it asks for; of either class where none is named.
    devices              integer     not null,
    device_class         text        check (device_class in ('Cpu', 'Cuda')),
    max_devices_per_node integer     not null,
    node_labels          jsonb       not null,
    data_set             text        not null,
    -- What each rank is expected to take, on a CPU device and on a GPU; 0: not known.
    cpu_bytes            bigint      not null,
    gpu_bytes            bigint      not null,
    -- Not placed before its forecast of memory is there, or this time has come; null: it need not wait for that.
    forecast_until       timestamptz,
    -- When something is to be done for it that nobody asks for. Who claims it puts it off, so that a claim of the dead comes due again.
    next_due_at          timestamptz
) with (fillfactor = 70);
create index job_queue_line on job_queue (priority desc, age, job_id) include (not_before)
    where state = 'Queued' and forecast_until is null;
create index job_queue_due on job_queue (next_due_at) where next_due_at is not null;

-- A grant says what memory its rank takes beside its device.
alter table device_grants
    add column cpu_bytes bigint not null default 0,
    add column gpu_bytes bigint not null default 0;

-- Which weights a job begins with, and which of its checkpoints it keeps.
alter table jobs
    add column initial_checkpoint uuid,
    add column keep_latest integer not null default 1,
    add column keep_best boolean not null default false;

update jobs set
    initial_checkpoint = nullif(spec->'initFrom'->>'checkpoint', '')::uuid,
    keep_latest = greatest(1, coalesce((spec->'checkpoints'->>'keepLatest')::integer, 1)),
    keep_best = coalesce((spec->'checkpoints'->>'keepBest')::boolean, false);

update device_grants g set
    cpu_bytes = coalesce((j.memory->>'total')::bigint, 0),
    gpu_bytes = coalesce((j.memory->>'total')::bigint - (j.memory->>'process')::bigint + (j.memory->>'gpuOnly')::bigint, 0)
from jobs j where j.id = g.job_id and g.released_at is null and j.memory is not null;

-- What goes on is looked at by whoever starts first.
insert into job_queue
select id, state, version, 'default', priority, created_at, not_before, avoid_nodes,
    coalesce((spec->'resources'->>'devices')::integer, 0),
    case spec->'resources'->>'deviceKind' when 'DEVICE_KIND_CPU' then 'Cpu' when 'DEVICE_KIND_CUDA' then 'Cuda' end,
    coalesce((spec->'resources'->>'maxDevicesPerNode')::integer, 0),
    coalesce(spec->'resources'->'nodeLabels', '{}'),
    concat_ws('/', coalesce(spec->'data'->>'name', ''), nullif(spec->'data'->>'folder', '')),
    coalesce((memory->>'total')::bigint, 0),
    coalesce((memory->>'total')::bigint - (memory->>'process')::bigint + (memory->>'gpuOnly')::bigint, 0),
    null,
    case when state in ('Starting', 'Running', 'Stopping') then '-infinity'::timestamptz else not_before end
from jobs where state not in ('Succeeded', 'Failed', 'Cancelled');

drop index jobs_begin_with;
-- Protobuf's own form; rows from before keep its JSON, which begins with a brace as no such message does.
alter table jobs alter column spec type bytea using convert_to(spec::text, 'UTF8');
create index jobs_begin_with on jobs (initial_checkpoint)
    where initial_checkpoint is not null and state not in ('Succeeded', 'Failed', 'Cancelled');

-- Placement hears of what becomes of these rows, and no more of those of jobs.
drop trigger note_new_or_gone_job on jobs;
drop trigger note_changed_job on jobs;
drop index jobs_waiting;
drop function note_changed_job;

create function note_jobs() returns trigger language plpgsql as $$
begin
    insert into placement_changes (job_id) select job_id from changed;
    return null;
end $$;
create trigger note_new_jobs after insert on job_queue referencing new table as changed
    for each statement execute function note_jobs();
create trigger note_gone_jobs after delete on job_queue referencing old table as changed
    for each statement execute function note_jobs();

create function note_changed_job() returns trigger language plpgsql as $$
begin
    insert into placement_changes (job_id) values (new.job_id);
    return null;
end $$;
-- Devices are granted when a job ceases to be queued, and released when it is queued or paused again or its row goes.
create trigger note_changed_job after update on job_queue for each row
    when ((old.state in ('Queued', 'Paused'), new.state in ('Queued', 'Paused')) is distinct from (false, false)
        and (old.state, old.queue, old.priority, old.not_before, old.avoid_nodes, old.cpu_bytes, old.gpu_bytes, old.forecast_until)
            is distinct from
            (new.state, new.queue, new.priority, new.not_before, new.avoid_nodes, new.cpu_bytes, new.gpu_bytes, new.forecast_until))
    execute function note_changed_job();

-- What ran on a node that is lost, or whose agent started anew, is gone, and what runs on a drained one is to go. Its jobs find out, even
-- if who noticed it is gone as well.
create function make_holders_due() returns trigger language plpgsql as $$
begin
    perform 1 from job_queue where job_id in (select job_id from device_grants where node_id = new.id and released_at is null)
        order by job_id for update;
    update job_queue set next_due_at = '-infinity'
        where job_id in (select job_id from device_grants where node_id = new.id and released_at is null);
    return null;
end $$;
create trigger make_holders_due after update of epoch, drain on nodes for each row
    when (old.epoch <> new.epoch or old.drain is distinct from new.drain)
    execute function make_holders_due();
