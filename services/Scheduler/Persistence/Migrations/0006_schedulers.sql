-- Which schedulers look after the nodes' leases, and when each did last: while one of them is away, nodes that talk to it cannot renew.

create table schedulers (
    -- Where its silo listens; the same after a restart.
    address text        primary key,
    seen_at timestamptz not null
);
