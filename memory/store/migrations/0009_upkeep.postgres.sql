-- With a memory goes what was noted of it, and with the last one of a conversation its name.
CREATE FUNCTION forget_upkeep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM upkeep_steps WHERE memory_id = NEW.id;
    DELETE FROM summaries WHERE scope_id = NEW.scope_id AND thread_id = OLD.thread_id AND NOT EXISTS (
        SELECT 1 FROM memories m WHERE m.scope_id = NEW.scope_id AND m.thread_id = OLD.thread_id AND m.deleted = 0);
    RETURN NULL;
END $$;
CREATE TRIGGER upkeep_steps_of_the_deleted AFTER UPDATE OF deleted ON memories FOR EACH ROW
WHEN (NEW.deleted = 1 AND OLD.deleted = 0) EXECUTE FUNCTION forget_upkeep();
