//! What a SQLite database holds, in the form of [`CatalogueQueries`].

use crate::catalogue::CatalogueQueries;

pub(super) const QUERIES: CatalogueQueries = CatalogueQueries {
    tables: "
SELECT m.name, CASE l.type WHEN 'virtual' THEN 'foreign' ELSE l.type END, NULL, m.sql
FROM sqlite_master m JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name
WHERE m.type IN ('table', 'view') AND l.type <> 'shadow' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
ORDER BY m.name",
    columns: "
SELECT m.name, c.name, c.type, NULL, c.\"notnull\" = 0 AND c.pk = 0, c.dflt_value, 0, c.hidden > 1, NULL
FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
WHERE m.type = 'table' AND c.hidden <> 1
ORDER BY m.name, c.cid",
    keys: "
SELECT m.name, c.name
FROM sqlite_master m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND c.pk > 0
ORDER BY m.name, c.pk",
    references: "
SELECT m.name, CAST(f.id AS TEXT), f.\"from\", f.\"table\", f.\"to\", f.on_delete, f.on_update, 1
FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table'
ORDER BY m.name, f.id DESC, f.seq",
    indexes: "
SELECT m.name, i.name, i.\"unique\", i.origin = 'u', i.partial, 1, x.name, x.\"desc\"
FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_xinfo(i.name) x
WHERE m.type = 'table' AND i.origin <> 'pk' AND x.key = 1
ORDER BY m.name, i.name, x.seqno",
    // They stand in the tables' definitions.
    checks: "SELECT NULL, NULL, NULL WHERE FALSE",
    triggers: "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger' ORDER BY tbl_name, name",
    enums: "SELECT NULL, NULL WHERE FALSE",
    // Every connection brings its functions.
    setup: "SELECT 'functions'",
};
