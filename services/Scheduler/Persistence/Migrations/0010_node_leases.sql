-- What is written at every heartbeat stands apart from the nodes, whose rows then change only with what they describe.

-- The one clock by which nodes' leases are kept and schedulers are missed: the time at which a statement began, here.
create function lease_clock() returns timestamptz language sql stable as 'select now()';

-- One row for each node that is not lost. Taking it away and declaring the node lost is one statement.
create table node_leases (
    node_id     uuid        primary key references nodes on delete cascade,
    -- Only the agent's start that the node is registered by renews it.
    incarnation text        not null,
    expires_at  timestamptz not null
-- Renewals find room beside the row that they replace.
) with (fillfactor = 50);

insert into node_leases select id, incarnation, lease_expires_at from nodes where state = 'Ready';

-- What agents measured last, for people to look at; after a crash of Postgres the next heartbeats bring it again.
create unlogged table node_measurements (
    node_id uuid  primary key references nodes on delete cascade,
    devices jsonb not null
) with (fillfactor = 50);

alter table nodes
    drop column lease_expires_at,
    drop column utilization,
    -- Who keeps the node from new jobs; null while nobody does.
    add column drain jsonb;

drop trigger note_changed_node on nodes;
create trigger note_changed_node after update on nodes for each row
    when ((old.name, old.epoch, old.state, old.clean, old.lost_at, old.devices, old.labels, old.data_sets, old.drain is null)
        is distinct from
        (new.name, new.epoch, new.state, new.clean, new.lost_at, new.devices, new.labels, new.data_sets, new.drain is null))
    execute function note_changed_node();
