-- The only workspaces that are there for a token; null: it does what its owner may.
alter table tokens
    add column workspaces text[] check (cardinality(workspaces) > 0),
    -- An administrator's makes any other token.
    add constraint tokens_of_workspaces check (workspaces is null or scope in ('Viewer', 'Submitter', 'Operator'));
