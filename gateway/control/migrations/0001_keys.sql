create table control (
    one integer primary key check (one = 1),
    epoch text not null,
    revision bigint not null
);

create table projects (
    id text primary key,
    created_us bigint not null
);

create table environments (
    project text not null references projects (id),
    name text not null,
    created_us bigint not null,
    primary key (project, name)
);

create table keys (
    id text primary key,
    revision bigint not null unique,
    name text not null,
    owner text not null,
    project text not null,
    environment text not null,
    rules text not null,
    created_us bigint not null,
    expires_us bigint not null,
    revoked_us bigint not null,
    foreign key (project, environment) references environments (project, name)
);

create index keys_by_project on keys (project, id);

create table secrets (
    digest text primary key,
    key_id text not null references keys (id),
    prefix text not null,
    created_us bigint not null,
    ends_us bigint not null
);

create index secrets_by_key on secrets (key_id);

create table audit (
    revision bigint primary key,
    at_us bigint not null,
    actor text not null,
    action text not null,
    target text not null,
    project text not null,
    details text not null
);

create index audit_by_project on audit (project, revision);
