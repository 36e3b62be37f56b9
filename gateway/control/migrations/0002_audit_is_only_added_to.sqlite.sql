create trigger audit_stays before update on audit begin select raise(abort, 'the audit log is only added to'); end;

create trigger audit_remains before delete on audit begin select raise(abort, 'the audit log is only added to'); end;
