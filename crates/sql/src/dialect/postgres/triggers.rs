//! Triggers of the change log on PostgreSQL.

use mainstay_lang::types::Type;

use super::json;
use crate::forms::Form;
use crate::triggers::TriggerSpelling;

pub(super) const SPELLING: TriggerSpelling = TriggerSpelling {
    setup: &["CREATE SCHEMA IF NOT EXISTS mainstay_log"],
    // Whoever may write the table need not be able to write the log. What the functions name is looked for where the table is and nowhere
    // that whoever writes could put something in its way.
    create: "CREATE OR REPLACE FUNCTION mainstay_log.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $mainstay$
BEGIN
IF current_setting('mainstay.writes', true) IS DISTINCT FROM 'on' THEN
{lines}END IF;
RETURN NULL;
END $mainstay$
;;
DO $mainstay$ BEGIN EXECUTE 'ALTER FUNCTION mainstay_log.{literal}() SET search_path = pg_catalog, '
|| quote_ident(current_schema()) || ', pg_temp'; END $mainstay$
;;
CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW EXECUTE FUNCTION mainstay_log.{name}()",
    drop: "DROP TRIGGER IF EXISTS {name} ON {table}",
    given: ("\"at\"", "clock_timestamp()"),
    mark: "SELECT set_config('mainstay.writes', 'on', true)",
    ask: None,
    ask_log: "SELECT 1::bigint WHERE to_regclass('\"_change\"') IS NOT NULL AND to_regclass('\"_meta\"') IS NOT NULL",
    unmark: None,
};

/// The JSON text of a value. One that does not fit its type must not keep others from writing it, so nothing here can fail.
pub(super) fn json(ty: &Type, form: Option<&Form>, value: &str) -> String {
    let read = match (ty, form.and_then(|form| form.read.as_deref())) {
        (_, None) => value.to_owned(),
        (Type::Decimal { .. } | Type::Int, Some(read)) if read.contains("CASE") => {
            format!("trim_scale({value})")
        }
        (Type::Duration, Some(_)) => format!("(extract(epoch FROM {value}) * 1000000)::bigint"),
        (_, Some(read)) => read.replace("{0}", value),
    };
    let text = json::text(ty).template(true).replace("{0}", &read);
    format!("({text})::text")
}
