//! What a PostgreSQL database holds, in the form of [`super::Dialect::existing`].
//!
//! Of the schema that unqualified names mean. Indexes over expressions, over a part of the rows, or whose making failed
//! are nobody's declared ones.

pub(super) const STATEMENTS: [&str; 4] = [COLUMNS, REFERENCES, INDEXES, SETUP];

const COLUMNS: &str = "
SELECT t.relname::text, a.attname::text,
    format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation = 'pg_catalog.\"C\"'::regcollation THEN ' COLLATE \"C\"' ELSE '' END,
    NOT a.attnotnull, coalesce(a.attnum = ANY (k.conkey), FALSE)
FROM pg_class t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p')
ORDER BY t.relname, a.attnum";

const REFERENCES: &str = "
SELECT t.relname::text, a.attname::text, o.relname::text
FROM pg_constraint k
    JOIN pg_class t ON t.oid = k.conrelid
    JOIN pg_class o ON o.oid = k.confrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, k.oid";

const INDEXES: &str = "
SELECT t.relname::text, i.relname::text, x.indisunique, a.attname::text, (x.indoption[c.place - 1] & 1) = 1
FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    CROSS JOIN LATERAL generate_series(1, x.indnkeyatts) AS c (place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[c.place - 1]
WHERE NOT x.indisprimary AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
    AND t.relnamespace = current_schema()::regnamespace
ORDER BY t.relname, i.relname, c.place";

const SETUP: &str = "SELECT nspname::text FROM pg_namespace WHERE nspname = 'mainstay_1'";
