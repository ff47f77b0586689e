-- People who were forgotten stay out: the SHA-256 of each of their pseudonyms (`person_id`, `account_key` in decimal).
-- Nothing else of them is kept, and this can only be compared with.
create table raw.tombstone (tombstone varchar not null, forgotten_on date not null);
