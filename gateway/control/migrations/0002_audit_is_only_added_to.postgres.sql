create function audit_refuses() returns trigger language plpgsql as $$ begin raise exception 'the audit log is only added to'; end $$;

create trigger audit_stays before update or delete or truncate on audit for each statement execute function audit_refuses();
