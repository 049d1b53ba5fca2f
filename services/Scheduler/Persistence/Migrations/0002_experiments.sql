-- Experiments: one file, many jobs.

create table experiments (
    id         uuid        primary key,
    owner      text        not null,
    request_id text        not null,
    name       text        not null,
    workspace  text        not null,
    -- As submitted.
    yaml       text        not null,
    created_at timestamptz not null,
    unique (owner, request_id)
);
create index experiments_newest on experiments (created_at desc, id desc);

alter table jobs
    add column experiment_id uuid  references experiments,
    add column variant       text  not null default '',
    -- What one rank is expected to take of its device's memory, as protobuf's JSON; null where no node could be asked.
    add column memory        jsonb;
create index jobs_of_experiment on jobs (experiment_id, created_at) where experiment_id is not null;
