-- A block goes with the first of its memories that goes: that costs a provider's cache, and nobody's privacy.
CREATE FUNCTION forget_injections() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM injections WHERE (thread, anchor) IN (SELECT thread, anchor FROM injected WHERE memory_id = NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER injections_of_the_deleted AFTER UPDATE OF deleted, quarantined, hidden ON memories FOR EACH ROW
WHEN ((NEW.deleted = 1 AND OLD.deleted = 0) OR (NEW.quarantined = 1 AND OLD.quarantined = 0)
    OR (NEW.hidden = 1 AND OLD.hidden = 0 AND NEW.superseded_by = ''))
EXECUTE FUNCTION forget_injections();
