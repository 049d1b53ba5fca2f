-- Workspaces that are their members' only. One that is not here is everybody's, as all are until somebody closes one.

create table workspaces (
    name       text        primary key,
    created_at timestamptz not null,
    created_by text        not null
);

create table workspace_members (
    workspace        text    not null references workspaces on delete cascade,
    owner            text    not null,
    role             text    not null check (role in ('Viewer', 'Submitter', 'Operator')),
    -- Of the jobs that the member submits or changes; null: any.
    highest_priority integer,
    -- In which they may wait; null: in any.
    queues           text[],
    primary key (workspace, owner)
);

create trigger note_access after insert or update or delete on workspaces for each statement execute function note_access();
create trigger note_access after insert or update or delete on workspace_members for each statement execute function note_access();
