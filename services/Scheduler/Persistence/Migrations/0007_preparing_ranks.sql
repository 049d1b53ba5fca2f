-- What a rank does before it can meet its peers, such as to list its data; empty once it is ready.
alter table rendezvous_endpoints add column preparing text not null default '';
