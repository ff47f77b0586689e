-- Whether an e-mail is known by a recipient's copy only: the sender's own copy replaces it and is never replaced by it.
alter table raw.interaction add column is_received boolean;
