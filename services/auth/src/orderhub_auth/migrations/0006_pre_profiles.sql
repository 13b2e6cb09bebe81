-- What users say of themselves. A phone number is E.164 or empty; an address has the members of OpenID's address claim
-- that are known (OpenID Connect Core 1.0, section 5.1.1), or is null.
alter table users
    add column phone text not null default '',
    add column address jsonb;
