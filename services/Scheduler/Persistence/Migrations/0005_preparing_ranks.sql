-- What a rank does before it can be reached by its peers, which then has no address yet: it reads its data, say.
alter table rendezvous_endpoints add column preparing text not null default '';
