-- How and when the user of a session proved who it is: `amr` and `auth_time` of its tokens.
alter table sessions
    -- Null in sessions that code before this column opens: then it was when the session was opened.
    add column authenticated_at timestamptz,
    -- RFC 8176.
    add column amr text[] not null default '{pwd}' check (amr <> '{}');
