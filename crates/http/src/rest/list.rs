//! `GET /api/{table}`: rows, or groups of them.

use std::sync::Arc;

use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::part::{Operation, Part};
use mainstay_engine::response::EntryAnswer;

use super::split::split;
use super::{keep_private, only_entry, operation, shown, table};
use crate::call::{Call, json};
use crate::live::stream;
use crate::parameters::{Parameters, malformed};

/// Every parameter that a list knows.
pub(crate) const PARAMETERS: &[&str] =
    &["where", "get", "order", "limit", "offset", "after", "count", "aggregate", "group", "explain"];

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let parameters = call.parameters(PARAMETERS)?;
    let part = part(&parameters)?;
    if stream::is_asked_for(&call) {
        let name = table.name.clone();
        return Box::pin(stream::run(call, name, part)).await;
    }
    let explain = call.explain(&parameters)?;
    let operation = Operation { explain, ..operation(&call, table, vec![part], &[])? };
    let answer = app.engine.execute(&call.ctx, &operation).await?;
    let explained = answer.explain.clone();
    let mut response = json(write(&only_entry(answer)?, explained.as_deref())?);
    keep_private(response.headers_mut());
    Ok(response)
}

fn part(parameters: &Parameters) -> Result<Part, Error> {
    let aggregate = aggregate(parameters)?;
    let group: Vec<String> = list(parameters, "group")?;
    let is_grouped = !aggregate.is_empty() || !group.is_empty();
    if is_grouped && parameters.text("get")?.is_some() {
        let words = "`get` shows rows; `aggregate` and `group` show groups of them: give one or the other.";
        return Err(malformed("get", words.to_owned()));
    }
    let given = |name: &&&str| **name != "explain" && parameters.has(name);
    Ok(Part {
        keywords: PARAMETERS.iter().filter(given).copied().collect(),
        get: if is_grouped { None } else { Some(shown(parameters)?) },
        filter: parameters.text("where")?.map(str::to_owned),
        order: list(parameters, "order")?,
        limit: parameters.number("limit")?,
        offset: parameters.number("offset")?,
        after: parameters.text("after")?.map(str::to_owned),
        count: parameters.flag("count")?,
        aggregate,
        group,
        ..Part::default()
    })
}

/// `sold:sum(quantity),n:count()`: names and what they hold.
fn aggregate(parameters: &Parameters) -> Result<Vec<(String, String)>, Error> {
    let pair = |item: String| {
        item.split_once(':')
            .map(|(name, expression)| (name.trim().to_owned(), expression.trim().to_owned()))
            .filter(|(name, expression)| !name.is_empty() && !expression.is_empty())
            .ok_or_else(|| {
                malformed(
                    "aggregate",
                    format!("`{item}` is not `name:expression`, as in `sold:sum(quantity)`."),
                )
            })
    };
    list(parameters, "aggregate")?.into_iter().map(pair).collect()
}

fn list(parameters: &Parameters, name: &str) -> Result<Vec<String>, Error> {
    let Some(text) = parameters.text(name)? else { return Ok(Vec::new()) };
    let items = split(text);
    if items.contains(&"") {
        return Err(malformed(name, format!("`{name}` has an empty item.")));
    }
    Ok(items.into_iter().map(str::to_owned).collect())
}

/// `{"items":[…],"next":…}`
pub(super) fn write(answer: &EntryAnswer, explain: Option<&str>) -> Result<String, Error> {
    let next = serde_json::to_string(&answer.next).map_err(Error::internal)?;
    let mut text = String::with_capacity(answer.rows.len() + next.len() + 64);
    text.push_str("{\"items\":[");
    text.push_str(&answer.rows);
    text.push_str("],\"next\":");
    text.push_str(&next);
    if let Some(count) = answer.count {
        text.push_str(&format!(",\"count\":{count}"));
    }
    if let Some(explain) = explain {
        text.push_str(",\"explain\":");
        text.push_str(explain);
    }
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use mainstay_engine::part::Part;

    use super::{PARAMETERS, part};
    use crate::parameters::Parameters;

    fn read(query: &str) -> Result<Part, String> {
        let parameters = Parameters::parse(Some(query), PARAMETERS).map_err(|error| error.detail)?;
        part(&parameters).map_err(|error| error.detail)
    }

    #[test]
    fn parameters_become_a_part() {
        let part = read("where=a==1&order=-created,title nulls first&limit=20&count").unwrap();
        assert_eq!(part.filter.as_deref(), Some("a==1"));
        assert_eq!(part.order, ["-created", "title nulls first"]);
        assert_eq!((part.limit, part.count), (Some(20), true));
        assert!(part.get.is_some());
    }

    #[test]
    fn groups_have_names_and_no_get() {
        let part = read("aggregate=sold:sum(quantity),n:count()&group=track,track.album").unwrap();
        assert_eq!(part.aggregate[0], ("sold".to_owned(), "sum(quantity)".to_owned()));
        assert_eq!(part.group, ["track", "track.album"]);
        assert!(part.get.is_none());
        assert!(read("aggregate=sum(quantity)").is_err());
        assert!(read("aggregate=n:count()&get=title").is_err());
        assert!(read("order=a,").is_err());
    }
}
