//! What is asked of each system, and how each of them is asked it. A system that cannot says why.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::data::{Rows, entry_id};
use crate::data::Data;
use crate::peers::parse::{APPLICATION, MASTER};
use crate::scenario::{Request, nested, paths, task};
use crate::servers::Server;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Get,
    List,
    ListByRule,
    Nested,
    Aggregate,
    Create,
    CreateByRule,
    CreateNested,
    Update,
    Mixed,
}

impl Question {
    pub(super) const ALL: [Question; 10] = [
        Question::Get,
        Question::List,
        Question::ListByRule,
        Question::Nested,
        Question::Aggregate,
        Question::Create,
        Question::CreateByRule,
        Question::CreateNested,
        Question::Update,
        Question::Mixed,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Question::Get => "get by id",
            Question::List => "list of 30, filter and count",
            Question::ListByRule => "list of 30 under a rule",
            Question::Nested => "nested read, 3 levels",
            Question::Aggregate => "aggregate by group",
            Question::Create => "create",
            Question::CreateByRule => "create under a rule",
            Question::CreateNested => "create nested, 1 + 5 rows",
            Question::Update => "update",
            Question::Mixed => "mixed: 80 % get, 20 % create",
        }
    }

    /// Whether it commits, so that durability matters.
    pub(super) fn writes(self) -> bool {
        !matches!(
            self,
            Question::Get | Question::List | Question::ListByRule | Question::Nested | Question::Aggregate
        )
    }

    /// The connections that it is measured with.
    pub(super) fn connections(self) -> &'static [u32] {
        match self {
            Question::Get | Question::Create => &[32, 1, 256],
            _ => &[32],
        }
    }
}

/// How a system is asked; without one, why it cannot be.
pub(super) type Asked = Result<Request, &'static str>;

/// What requests are made of.
pub(super) struct Asking<'a> {
    pub(super) data: &'a Data,
    pub(super) rows: &'a Rows,
    pub(super) folder: &'a Path,
}

const ONLY_BY_RULE: &str = "its other rows are without rules";

impl Asking<'_> {
    fn paths(&self, name: &str, prefix: &str, id: impl Fn(u32) -> String) -> Result<String> {
        paths(self.folder, name, prefix, &self.rows.asked(id))
    }

    fn kinds(&self, name: &str, path: impl Fn(u32) -> String) -> Result<String> {
        let kinds: Vec<String> = (0..self.rows.kinds()).map(path).collect();
        paths(self.folder, name, "", &kinds)
    }

    pub(super) fn mainstay(&self, server: &Server, question: Question) -> Result<Asked> {
        let bearer = || format!("Authorization: Bearer {}", self.data.token);
        let entries = || self.paths("mainstay", "/api/Entry/", entry_id);
        let url = |path: &str| server.url(path);
        Ok(Ok(match question {
            Question::Get => Request::script(url("/"), "pick.lua", entries()?),
            Question::List => {
                let path = |kind| format!("/api/Entry?where=kind=={kind}&order=-rank&limit=30&count");
                Request::script(url("/"), "pick.lua", self.kinds("mainstay-kinds", path)?)
            }
            Question::ListByRule => Request::get(url("/api/Task?limit=30")).header(bearer()),
            Question::Nested => Request::script(url("/query"), "post.lua", nested().to_string()),
            Question::Aggregate => {
                Request::get(url("/api/Track?aggregate=n:count(),ms:sum(milliseconds)&group=genre"))
            }
            Question::Create => Request::script(url("/api/Entry"), "post.lua", self.entry()),
            Question::CreateByRule => {
                Request::script(url("/api/Task"), "post.lua", task(self.data)).header(bearer())
            }
            Question::CreateNested => Request::script(url("/api/Order"), "post.lua", order(Nesting::Said)),
            Question::Update => changed(url("/"), "PATCH", entries()?),
            Question::Mixed => mixed(url("/"), entries()?, "/api/Entry", self.entry()),
        }))
    }

    pub(super) fn by_hand(&self, server: &Server, question: Question) -> Result<Asked> {
        let bearer = || format!("Authorization: Bearer {}", self.data.token);
        let entries = || self.paths("hand", "/entries/", entry_id);
        let url = |path: &str| server.url(path);
        Ok(Ok(match question {
            Question::Get => Request::script(url("/"), "pick.lua", entries()?),
            Question::List => {
                let kinds = self.kinds("hand-kinds", |kind| format!("/entries?kind={kind}"))?;
                Request::script(url("/"), "pick.lua", kinds)
            }
            Question::ListByRule => Request::get(url("/tasks")).header(bearer()),
            Question::Nested => Request::script(url("/artists"), "post.lua", "{}".to_owned()),
            Question::Aggregate => Request::get(url("/genres")),
            Question::Create => Request::script(url("/entries"), "post.lua", self.entry()),
            Question::CreateByRule => {
                Request::script(url("/tasks/logged"), "post.lua", task(self.data)).header(bearer())
            }
            Question::CreateNested => Request::script(url("/orders"), "post.lua", order(Nesting::Known)),
            Question::Update => changed(url("/"), "PATCH", entries()?),
            Question::Mixed => mixed(url("/"), entries()?, "/entries", self.entry()),
        }))
    }

    pub(super) fn pocketbase(&self, server: &Server, question: Question) -> Result<Asked> {
        const RECORDS: &str = "/api/collections/entries/records";
        let entries = || self.paths("pocketbase", &format!("{RECORDS}/"), |number| format!("e{number:014}"));
        let url = |path: &str| server.url(path);
        Ok(Ok(match question {
            Question::Get => Request::script(url("/"), "pick.lua", entries()?),
            Question::List => {
                let path = |kind| format!("{RECORDS}?filter=(kind={kind})&sort=-rank&perPage=30");
                Request::script(url("/"), "pick.lua", self.kinds("pocketbase-kinds", path)?)
            }
            Question::Nested => Request::get(url(
                "/api/collections/artists/records?perPage=10&sort=id&skipTotal=1&expand=albums_via_artist.tracks_via_album\
                 &fields=id,name,expand.albums_via_artist.id,expand.albums_via_artist.title,\
                 expand.albums_via_artist.expand.tracks_via_album.id,expand.albums_via_artist.expand.tracks_via_album.name,\
                 expand.albums_via_artist.expand.tracks_via_album.milliseconds",
            )),
            Question::Aggregate => {
                Request::get(url("/api/collections/genres/records?perPage=30&skipTotal=1"))
            }
            Question::Create => Request::script(url(RECORDS), "post.lua", self.entry()),
            Question::CreateNested => {
                let post = |collection: &str, body: serde_json::Value| json!({"method": "POST", "url": format!("/api/collections/{collection}/records"), "body": body});
                let line = |n: u32| post("lines", json!({"order": "%i", "track": n, "quantity": n}));
                let mut requests = vec![post("orders", json!({"id": "%i", "customer": "Customer %d"}))];
                requests.extend((1..=5).map(line));
                let body = json!({"requests": requests}).to_string();
                Request::script(url("/api/batch"), "post.lua", body)
            }
            Question::Update => changed(url("/"), "PATCH", entries()?),
            Question::Mixed => mixed(url("/"), entries()?, RECORDS, self.entry()),
            Question::ListByRule | Question::CreateByRule => return Ok(Err(ONLY_BY_RULE)),
        }))
    }

    pub(super) fn parse(&self, server: &Server, question: Question) -> Result<Asked> {
        let entries = || self.paths("parse", "/parse/classes/Entry/", |number| format!("e{number:09}"));
        let url = |path: &str| server.url(path);
        let request = match question {
            Question::Get => Request::script(url("/"), "pick.lua", entries()?),
            Question::List => {
                let path = |kind| {
                    format!(
                        "/parse/classes/Entry?where=%7B%22kind%22%3A{kind}%7D&order=-rank&limit=30&count=1"
                    )
                };
                Request::script(url("/"), "pick.lua", self.kinds("parse-kinds", path)?)
            }
            Question::Nested => return Ok(Err("no request of it goes from one row to many")),
            Question::Aggregate => Request::get(url(
                "/parse/aggregate/Track?pipeline=%5B%7B%22%24group%22%3A%7B%22_id%22%3A%22%24genre%22%2C%22n%22%3A%7B%22%24sum%22%3A1%7D\
                 %2C%22ms%22%3A%7B%22%24sum%22%3A%22%24milliseconds%22%7D%7D%7D%5D",
            ))
            .header(MASTER.to_owned()),
            Question::Create => Request::script(url("/parse/classes/Entry"), "post.lua", self.entry()),
            // Its router takes a path without parameters for one that does not match.
            Question::CreateNested => return Ok(Err("its batches end in an error as npm installs them")),
            Question::Update => changed(url("/"), "PUT", entries()?),
            Question::Mixed => mixed(url("/"), entries()?, "/parse/classes/Entry", self.entry()),
            Question::ListByRule | Question::CreateByRule => return Ok(Err(ONLY_BY_RULE)),
        };
        Ok(Ok(request.header(APPLICATION.to_owned())))
    }

    fn entry(&self) -> String {
        json!({"title": "Entry %d", "done": false, "kind": 7, "rank": 7}).to_string()
    }
}

/// Whether a nested row has to say that it is new.
#[derive(Clone, Copy)]
enum Nesting {
    Said,
    Known,
}

/// An order of five lines.
fn order(nesting: Nesting) -> String {
    let line = |n: u32| match nesting {
        Nesting::Said => json!({"create": true, "track": n, "quantity": n}),
        Nesting::Known => json!({"track": n, "quantity": n}),
    };
    let lines: Vec<_> = (1..=5).map(line).collect();
    json!({"customer": "Customer %d", "lines": lines}).to_string()
}

fn changed(url: String, method: &str, paths: String) -> Request {
    let body = json!({"title": "Changed %i"}).to_string();
    Request::scripted(url, "change.lua", vec![method.to_owned(), paths, body])
}

fn mixed(url: String, paths: String, path: &str, body: String) -> Request {
    Request::scripted(url, "mixed.lua", vec![paths, path.to_owned(), body])
}
