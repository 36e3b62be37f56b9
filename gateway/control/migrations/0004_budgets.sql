create table budgets (
    id text primary key,
    revision bigint not null,
    project text not null,
    rules text not null,
    created_us bigint not null
);

create table budget_accounts (
    id text primary key,
    budget text not null,
    project text not null,
    subject text not null,
    starts_us bigint not null,
    ends_us bigint not null,
    spent bigint not null,
    bounded bigint not null,
    reserved bigint not null
);

create index budget_accounts_by_budget on budget_accounts (budget, starts_us);

create table budget_reservations (
    id text not null,
    account text not null references budget_accounts (id),
    holder text not null,
    nano_usd bigint not null,
    state text not null,
    at_us bigint not null,
    primary key (id, account)
);

create index budget_reservations_by_state on budget_reservations (state, at_us);

create table budget_holders (
    id text primary key,
    seen_us bigint not null
);

create table budget_notices (
    account text not null references budget_accounts (id),
    threshold text not null,
    at_us bigint not null,
    spent bigint not null,
    tries integer not null,
    next_us bigint not null,
    primary key (account, threshold)
);
