-- The private schema: what connectors handed over, as they handed it over, and what the pipeline remembers between runs.
-- Columns follow connectors/records.py (a test compares them). No primary keys: an index on fifty million rows costs more
-- than the merge it would guard; uniqueness is kept by the upsert and asserted by the checks of core tables.
create schema raw;
create schema core;
create schema metrics;

create table raw.account (
    source varchar not null,
    account_key bigint not null,
    person_id varchar,
    alias_ids varchar[],
    domain_key bigint,
    kind varchar not null,
    is_active boolean,
    is_guest boolean,
    is_licensed boolean
);

create table raw.membership (
    source varchar not null,
    account_key bigint not null,
    observed_on date not null,
    valid_from date,
    valid_to date,
    team varchar,
    office varchar,
    manager_key bigint,
    joined_on date,
    left_on date,
    organisation varchar
);

create table raw.space (
    source varchar not null,
    space_key bigint not null,
    kind varchar not null,
    medium varchar,
    is_private boolean,
    is_shared boolean,
    is_archived boolean,
    is_standing boolean,
    member_count integer
);

create table raw.interaction (
    source varchar not null,
    interaction_key bigint not null,
    occurred_at timestamp not null,
    medium varchar not null,
    space_key bigint,
    thread_key bigint,
    sender_key bigint,
    participants struct(account_key bigint, evidence varchar)[],
    recipient_count integer,
    minutes double,
    mode_evidence varchar,
    reply_count integer,
    exclusion varchar
);

create table raw.coverage (
    source varchar not null,
    stream varchar not null,
    unit_key bigint not null,
    medium varchar,
    date_from date not null,
    date_to date not null,
    status varchar not null,
    reason varchar
);

create table raw.quarantine (
    source varchar not null,
    stream varchar not null,
    record_key bigint not null,
    reason varchar not null,
    observed_on date
);

-- Where each connector goes on; names hold keyed hashes, never ids.
create table raw.cursor (source varchar not null, name varchar not null, value varchar not null);

-- What changed since the last build: the days to rebuild, and the threads whose other messages change with them.
create table raw.touched_day (date date not null);
create table raw.touched_thread (thread_key bigint not null);
create table raw.touched_panel (panel_kind varchar not null, panel_start date not null);

-- Single remembered values: the fingerprint of the key, of the definitions that core and metrics were built with, and so on.
create table raw.memo (name varchar not null, value varchar not null);

-- One row a command that wrote.
create table raw.run (
    run_id varchar not null,
    command varchar not null,
    started_at timestamp not null,
    ended_at timestamp,
    outcome varchar,
    counts json
);

-- What settings declare, rewritten at the start of each build.
create table raw.organisation_domain (domain_key bigint not null, organisation_key varchar not null);
create table raw.organisation_setting (organisation_key varchar not null, name varchar not null, kind varchar not null);
create table raw.policy_setting (policy_key varchar not null, name varchar not null, starts_on date not null, teams varchar[], description varchar);
create table raw.relationship_setting (
    relationship_key varchar not null,
    name varchar not null,
    party_a varchar not null,
    party_a_kind varchar not null,
    party_b varchar not null,
    party_b_kind varchar not null,
    minimum_tie_count integer not null,
    contact_within_days integer not null
);
