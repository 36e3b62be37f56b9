create table limits (
    id text primary key,
    revision bigint not null,
    project text not null,
    rule text not null,
    created_us bigint not null
);
