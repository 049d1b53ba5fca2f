-- Jobs that go on with more devices or fewer.

-- It runs with so many devices as well, or with any number between; 0: with all of them only.
alter table job_queue add column min_devices integer not null default 0;

-- An attempt that was stopped for its job to go on with more devices or fewer: those that it is to have, in rank order, and the job for
-- which it gives up the others, if it does. All null: it was not.
alter table attempts
    add column next_nodes uuid[],
    add column next_devices text[],
    add column resized_for uuid,
    add check ((next_nodes is null) = (next_devices is null) and cardinality(next_nodes) = cardinality(next_devices));
create index attempts_resized on attempts (job_id) where next_devices is not null;

-- Placement keeps the job from these nodes, whatever else there is.
alter table job_queue add column excluded_nodes uuid[] not null default '{}';
update job_queue q set excluded_nodes = j.excluded_nodes from jobs j where j.id = q.job_id and j.excluded_nodes <> '{}';

-- When the last of the jobs succeeded, for the janitor.
alter table runtimes add column learnt_at timestamptz not null default now();
create index runtimes_age on runtimes (learnt_at);

-- Where a search that goes on makes its jobs: that queue stays. Null: it is over, or was there before this was noted.
alter table searches add column queue text constraint search_in_queue references queues;
