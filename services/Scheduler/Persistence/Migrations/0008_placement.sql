-- Jobs and nodes of which something has become that placement has not heard of. The transaction that changes a row notes it here, whoever
-- makes the change, so that none is missed and none is heard of before it is true. The one placement that keeps the state takes them away.
create table placement_changes (
    job_id  uuid,
    node_id uuid,
    check (num_nonnulls(job_id, node_id) = 1)
);

-- Who was told of changes last, by a token of that time. One that does not find its own has missed some, and reads everything anew.
create table placement_keeper (
    one   boolean primary key default true check (one),
    token uuid    not null
);

create function note_changed_job() returns trigger language plpgsql as $$
begin
    insert into placement_changes (job_id) values (coalesce(new.id, old.id));
    return null;
end $$;

create function note_changed_node() returns trigger language plpgsql as $$
begin
    insert into placement_changes (node_id) values (coalesce(new.id, old.id));
    return null;
end $$;

-- Devices are granted and released with a change of their job's state.
create trigger note_new_or_gone_job after insert or delete on jobs for each row execute function note_changed_job();
create trigger note_changed_job after update on jobs for each row
    when ((old.state, old.priority, old.not_before, old.avoid_nodes)
        is distinct from (new.state, new.priority, new.not_before, new.avoid_nodes))
    execute function note_changed_job();

create trigger note_new_or_gone_node after insert or delete on nodes for each row execute function note_changed_node();
-- Not for a heartbeat.
create trigger note_changed_node after update on nodes for each row
    when ((old.name, old.epoch, old.state, old.clean, old.lost_at, old.devices, old.labels, old.data_sets)
        is distinct from (new.name, new.epoch, new.state, new.clean, new.lost_at, new.devices, new.labels, new.data_sets))
    execute function note_changed_node();

-- Why jobs wait, as placement saw it last: one row for all jobs of a queue and a shape. What place a job has is counted when it is read.
drop table queue_standings;
create table waiting_reasons (
    queue  text  not null,
    -- SHA-256 of what the job asks for.
    shape  bytea not null,
    -- "waiting_for_devices", …: the same reason for programs.
    code   text  not null,
    reason text  not null,
    primary key (queue, shape)
);
create index jobs_waiting on jobs (priority desc, created_at, id) include (not_before) where state = 'Queued';
