-- Which pairs were in contact, before or now, on days built anew since their totals were last summed.
create table raw.touched_pair (person_a_key bigint not null, person_b_key bigint not null);

-- Which days (kind `day`) and panels (week, month, all) were built anew since the analysts' file was last written, and the totals of
-- which pairs; of every pair, where a kind is `pair`.
create table raw.unpublished (kind varchar not null, start date not null);
create table raw.unpublished_pair (person_a_key bigint not null, person_b_key bigint not null);
