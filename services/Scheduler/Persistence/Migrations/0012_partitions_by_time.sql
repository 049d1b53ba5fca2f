-- Metrics and logs lie in partitions by the time at which they were stored, so that old ones go a partition at a time. A job's rows lie
-- in as many of them as it ran through; its own times tell which.

alter table metrics rename to metrics_before;
alter index metrics_series rename to metrics_before_series;
alter index metrics_arrival rename to metrics_before_arrival;
alter table logs rename to logs_before;
alter index logs_pkey rename to logs_before_pkey;

create table metrics (
    job_id    uuid             not null,
    attempt   integer          not null,
    rank      integer          not null,
    name      text             not null,
    step      bigint           not null,
    epoch     integer          not null,
    time      timestamptz      not null,
    value     double precision not null,
    cursor    bigint           not null default nextval('metrics_cursor'),
    -- By the scheduler's clock.
    stored_at timestamptz      not null default now()
) partition by range (stored_at);

create table logs (
    job_id    uuid        not null,
    sequence  bigint      not null default nextval('logs_sequence'),
    time      timestamptz not null,
    attempt   integer     not null,
    rank      integer     not null,
    stream    text        not null,
    text      text        not null,
    stored_at timestamptz not null default now()
) partition by range (stored_at);

-- For what comes before its partition is made: nothing, unless clocks disagree or nobody made partitions for long.
create table metrics_default partition of metrics default;
create table logs_default partition of logs default;

-- Makes the partitions that follow on those that there are, or on a time where there are none so late. Rows that came before them move in.
create function add_time_partitions(parent text, since timestamptz, through timestamptz, days integer)
returns integer language plpgsql as $$
declare
    -- In hours: days of an interval follow a time zone's summers.
    length constant interval    := make_interval(hours => 24 * days);
    monday constant timestamptz := '2000-01-03 00:00:00+00';
    low    timestamptz;
    high   timestamptz;
    part   text;
    made   integer := 0;
begin
    select greatest(date_bin(length, since, monday), max(ends_at)) into low from time_partitions where parent_table = parent;
    while low < through loop
        high := date_bin(length, low, monday) + length;
        part := format('%s_%s', parent, to_char(low at time zone 'UTC', 'YYYYMMDD'));
        execute format('create table %I (like %I including defaults)', part, parent);
        execute format(
            'with strays as (delete from %I where stored_at >= $1 and stored_at < $2 returning *) insert into %I select * from strays',
            parent || '_default', part) using low, high;
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part, low, high);
        low := high;
        made := made + 1;
    end loop;
    return made;
end $$;

-- Which partitions there are, as their own bounds tell.
create view time_partitions as
select parent.relname::text as parent_table, part.relname::text as partition,
    (regexp_match(pg_get_expr(part.relpartbound, part.oid), $$TO \('([^']+)'\)$$))[1]::timestamptz as ends_at
from pg_inherits i join pg_class parent on parent.oid = i.inhparent join pg_class part on part.oid = i.inhrelid
where parent.relname in ('metrics', 'logs') and parent.relnamespace = current_schema()::regnamespace
    and parent.relkind = 'p' and pg_get_expr(part.relpartbound, part.oid) <> 'DEFAULT';

-- A row was stored while its job was there, whatever the clock of the trainer said.
select add_time_partitions(
    parent, coalesce((select min(created_at) from jobs), now()), now() + interval '14 days', 7)
from unnest(array['metrics', 'logs']) parent;
insert into metrics
select m.job_id, m.attempt, m.rank, m.name, m.step, m.epoch, m.time, m.value, m.cursor,
    least(greatest(m.time, j.created_at), coalesce(j.finished_at, now()))
from metrics_before m join jobs j on j.id = m.job_id;
insert into logs
select l.job_id, l.sequence, l.time, l.attempt, l.rank, l.stream, l.text, least(greatest(l.time, j.created_at), now())
from logs_before l join jobs j on j.id = l.job_id;
drop table metrics_before;
drop table logs_before;

create index metrics_series on metrics (job_id, name, step);
create index metrics_arrival on metrics (job_id, cursor);
-- Sequences are unique by themselves; a key of a partitioned table has to hold what it is partitioned by.
alter table logs add primary key (job_id, sequence, stored_at);

-- Long series are kept downsampled beside their points, and outlive them.

-- How far a job's series have been taken in: points that arrived later are still to be read one by one.
create table metric_rollups (
    job_id  uuid    primary key references jobs on delete cascade,
    cursor  bigint  not null,
    -- The newest there was: a later one may have taken back points.
    attempt integer not null
);

-- A series' points in ascending steps, some hundred in a row. Of each 2^shift steps, from a multiple of that, they are the last, the
-- lowest, the highest, and the first of each kind that is not finite.
create table metric_rollup_parts (
    job_id     uuid               not null references metric_rollups on delete cascade,
    name       text               not null,
    first_step bigint             not null,
    shift      integer            not null,
    steps      bigint[]           not null,
    epochs     integer[]          not null,
    times      timestamptz[]      not null,
    attempts   integer[]          not null,
    measured   double precision[] not null,
    primary key (job_id, name, first_step)
);

-- Jobs that are gone, of which metrics, log lines or chunks may still be there.
create table removed_jobs (job_id uuid primary key);

-- For who looks for jobs that ended long ago.
create index jobs_finished on jobs (finished_at) where finished_at is not null;
