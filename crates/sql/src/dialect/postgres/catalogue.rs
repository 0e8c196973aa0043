//! What a PostgreSQL database holds, in the form of [`CatalogueQueries`]: of the schema that unqualified names mean.

use crate::catalogue::CatalogueQueries;

pub(super) const QUERIES: CatalogueQueries = CatalogueQueries {
    tables: "
SELECT t.relname::text,
    CASE WHEN t.relispartition THEN 'partition'
        WHEN t.relkind = 'p' THEN 'partitioned'
        WHEN t.relkind = 'f' THEN 'foreign'
        WHEN t.relkind = 'v' THEN 'view'
        WHEN t.relkind = 'm' THEN 'materialized'
        ELSE 'table' END,
    obj_description(t.oid, 'pg_class'),
    CASE WHEN t.relkind IN ('v', 'm') THEN pg_get_viewdef(t.oid) END
FROM pg_class t
WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p', 'f', 'v', 'm')
ORDER BY t.relname",
    columns: "
SELECT t.relname::text, a.attname::text,
    format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation IN (0, 'pg_catalog.\"default\"'::regcollation) THEN ''
            WHEN a.attcollation = 'pg_catalog.\"C\"'::regcollation THEN ' COLLATE \"C\"'
            ELSE ' COLLATE other' END,
    CASE WHEN y.typtype = 'd' THEN format_type(y.typbasetype, y.typtypmod) END,
    NOT a.attnotnull,
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', FALSE),
    a.attgenerated <> '',
    col_description(t.oid, a.attnum)
FROM pg_class t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type y ON y.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p', 'f')
ORDER BY t.relname, a.attnum",
    keys: "
SELECT t.relname::text, a.attname::text
FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid
    CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS c (number, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.number
WHERE k.contype = 'p' AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, c.place",
    references: "
SELECT t.relname::text, k.conname::text, a.attname::text,
    CASE WHEN o.relnamespace = t.relnamespace THEN '' ELSE o.relnamespace::regnamespace::text || '.' END || o.relname::text,
    b.attname::text,
    CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'RESTRICT' END,
    CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'RESTRICT' END,
    k.convalidated
FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid
    JOIN pg_class o ON o.oid = k.confrelid
    CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS c (own, other, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.own
    JOIN pg_attribute b ON b.attrelid = o.oid AND b.attnum = c.other
WHERE k.contype = 'f' AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, k.conname, c.place",
    // An index of a partition that belongs to one of the whole table is not told apart.
    indexes: "
SELECT t.relname::text, i.relname::text, x.indisunique,
    EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.contype IN ('u', 'x')),
    x.indpred IS NOT NULL, x.indisvalid, a.attname::text, (x.indoption[c.place - 1] & 1) = 1
FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    CROSS JOIN LATERAL generate_series(1, x.indnkeyatts) AS c (place)
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[c.place - 1] AND a.attnum > 0
WHERE NOT x.indisprimary AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, i.relname, c.place",
    checks: "
SELECT t.relname::text, k.conname::text, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE k.contype IN ('c', 'x') AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, k.conname",
    triggers: "
SELECT t.relname::text, g.tgname::text
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
WHERE NOT g.tgisinternal AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, g.tgname",
    enums: "
SELECT format_type(y.oid, NULL), e.enumlabel::text
FROM pg_enum e JOIN pg_type y ON y.oid = e.enumtypid
ORDER BY format_type(y.oid, NULL), e.enumsortorder",
    setup: "SELECT nspname::text FROM pg_namespace WHERE nspname = 'mainstay_1'",
};
