alter table keys add column team text not null default '';

alter table keys add column person text not null default '';

create index keys_by_person on keys (person);

create table people (
    id text primary key,
    email text not null unique,
    name text not null,
    password text not null,
    subject text not null,
    roles text not null,
    created_us bigint not null,
    disabled_us bigint not null
);

create table teams (
    project text not null references projects (id),
    name text not null,
    created_us bigint not null,
    primary key (project, name)
);

create table team_members (
    project text not null,
    team text not null,
    person text not null references people (id),
    primary key (project, team, person),
    foreign key (project, team) references teams (project, name)
);

create table credentials (
    provider text primary key,
    sealed text not null,
    hint text not null,
    changed_us bigint not null
);
