-- A block goes with the first of its memories that goes: that costs a provider's cache, and nobody's privacy.
CREATE TRIGGER injections_of_the_deleted AFTER UPDATE OF deleted, quarantined, hidden ON memories
WHEN (NEW.deleted AND NOT OLD.deleted) OR (NEW.quarantined AND NOT OLD.quarantined)
    OR (NEW.hidden AND NOT OLD.hidden AND NEW.superseded_by = '')
BEGIN
    DELETE FROM injections WHERE (thread, anchor) IN (SELECT thread, anchor FROM injected WHERE memory_id = NEW.id);
END;
