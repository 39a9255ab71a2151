"""The revisions of the schema; until 0.1.0 is tagged, only the initial one."""
