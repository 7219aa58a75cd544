-- Lists of events are counted and walked in these indexes alone, with what they are mostly asked for beside a project.
DROP INDEX audit_events_project;
DROP INDEX audit_events_actor;
DROP INDEX audit_events_action;
DROP INDEX audit_events_time;
CREATE INDEX audit_events_project ON audit_events (project_id, id, result, action, actor);
CREATE INDEX audit_events_actor ON audit_events (actor, id, result);
CREATE INDEX audit_events_action ON audit_events (action, id, result);
CREATE INDEX audit_events_time ON audit_events (happened_at, id, result);
