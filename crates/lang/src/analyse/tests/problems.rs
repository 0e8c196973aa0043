//! What is said about schemas that are wrong: the code, the place, the words, the way out.

use super::listed;

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = listed(text).join("\n");
        if found != *expected {
            wrong += &format!("{text}\n  found    {found}\n  expected {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A table whose only rule is the given condition.
#[track_caller]
fn check_rule(cases: &[(&str, &str)]) {
    let schema = "
        table Team { name text(100), public bool, members Person[] by team, allow read }
        table Person { name text, team Team?, secret_code text? secret, allow read }
        table Item {
            title text, kind enum(info, warning), team Team, other Person?, n int, f float?, d decimal(10, 2)?
            due timestamp?, day date?, data json?, tags text[], items Person[], key uuid?, private bool
            allow read if ";
    let cases: Vec<(String, &str)> =
        cases.iter().map(|(text, expected)| (format!("{schema}{text}\n}}"), *expected)).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
    check(&cases);
}

#[test]
fn names_of_tables_and_columns() {
    check(&[
        (
            "table team { allow read }",
            "E name.style [team] the name of a table is written in UpperCamel · write `Team`",
        ),
        (
            "table A { unitPrice int, allow read }",
            "E name.style [unitPrice] the name of a column is written in snake_case · write `unit_price`",
        ),
        (
            "table A { where int, allow read }",
            "E name.reserved [where] `where` is a word of the query language: a column cannot have this name · choose another name; `db \"where\"` keeps it in the database",
        ),
        ("table A { a int, a text, allow read }", "E name.duplicate [a] `A` has `a` already"),
        (
            "table A { created timestamp, allow read }",
            "E name.duplicate [created] every row of `A` has a column `created` already",
        ),
        ("table A { allow read } table A { allow read }", "E name.duplicate [A] `A` is declared twice"),
        (
            "table AB { allow read } table Ab { allow read }",
            "E name.duplicate [Ab] `Ab` and `AB` differ only in case, which databases do not tell apart",
        ),
        (
            "table User { allow read }",
            "E name.duplicate [User] `User` is a table of the platform · to add to it, write `extend User { … }`",
        ),
        ("extend Usr { a int }", "E name.unknown [Usr] there is no table `Usr` · did you mean `User`?"),
        ("extend User { email text }", "E name.duplicate [email] `User` has `email` already"),
        (
            "use identty",
            "E name.unknown [identty] the platform has no capability `identty` · did you mean `identity`?",
        ),
        ("app a app b", "E app.twice [app b] the app is named twice"),
        (
            "table A db \"B\" { allow read } table B { allow read }",
            "E name.duplicate [B] two tables are called `B` in the database",
        ),
        (
            "table A { a int db \"x\", b int db \"X\", allow read }",
            "E name.duplicate [b] two columns are called `X` in the database",
        ),
        (
            "table A { a int db \"created\", allow read }",
            "E name.duplicate [a] two columns are called `created` in the database",
        ),
    ]);
}

#[test]
fn types_and_modifiers() {
    check(&[
        (
            "table A { a string, allow read if a == null }",
            "E type.unknown [string] there is no type or table `string` · did you mean `text`?",
        ),
        (
            "table A { a Usr, allow read }",
            "E type.unknown [Usr] there is no type or table `Usr` · did you mean `User`?",
        ),
        ("table A { a decimal(20, 2), allow read }", "E type.argument [20] a decimal has 1 to 18 digits"),
        (
            "table A { a text(0), allow read }",
            "E type.argument [0] the length of a text is a number from 1 on",
        ),
        ("table A { a enum(x, y, x), allow read }", "E name.duplicate [x] `x` stands twice in this enum"),
        (
            "table A { a enum(true, y), allow read }",
            "E name.reserved [true] `true` is a word of the language and cannot be a name",
        ),
        ("table A { a int(5), allow read }", "E type.argument [int(5)] `int` takes no arguments"),
        (
            "table A { a json[], allow read }",
            "E type.argument [json[]] there are no lists of json · a json value can hold a list itself",
        ),
        ("table A { id float, allow read }", "E type.argument [float] a key is `uuid`, `int` or `text(n)`"),
        (
            "table A { id int secret, allow read }",
            "E modifier.misplaced [secret] `secret` does not fit here: a key is part of every answer",
        ),
        (
            "table A { a int trim, allow read }",
            "E modifier.misplaced [trim] `trim` does not fit here: it is for text",
        ),
        (
            "table A { a json unique, allow read }",
            "E modifier.misplaced [unique] `unique` does not fit here: json and lists have no index",
        ),
        (
            "table A { a bool min 1, allow read }",
            "E modifier.misplaced [min 1] `min` does not fit here: this type has neither an order nor a length",
        ),
        (
            "table A { a int on delete cascade, allow read }",
            "E modifier.misplaced [on delete cascade] `on delete` does not fit here: it is for a column that refers to a table",
        ),
        (
            "table A { a User on delete null, allow read }",
            "E modifier.misplaced [null] a required column cannot become null · write `?` behind the type of `a`",
        ),
        (
            "table A { unique bool, in int, allow read }",
            "E name.reserved [in] `in` is a word of the language and cannot be a name",
        ),
        (
            "table A { a text auto, allow read }",
            "E modifier.misplaced [auto] `auto` does not fit here: a counter is `int`",
        ),
        ("table A { a int unique unique, allow read }", "E modifier.twice [unique] this is said twice"),
        (
            "table A { a text match \"a(\", allow read }",
            "E regex.invalid [\"a(\"] this is no regular expression: unclosed group",
        ),
        (
            "table A { a text match mail, allow read }",
            "E name.unknown [mail] `match` knows email, url and \"a regular expression\", not `mail` · did you mean `email`?",
        ),
        (
            "table A { a int min 5 max 4, allow read }",
            "E literal.invalid [a int min 5 max 4] `min` is greater than `max`: nothing would fit",
        ),
        ("table A { a int = \"x\", allow read }", "E type.mismatch [\"x\"] expected `int`, found `text`"),
        (
            "table A { a enum(x, yes) = yess, allow read }",
            "E name.unknown [yess] `yess` is neither a column nor a value of this enum · did you mean `yes`?",
        ),
        (
            "table A { a decimal(4, 2) = 1.555, allow read }",
            "E type.mismatch [1.555] expected `decimal(4, 2)`, found `decimal(18, 3)` · write at most 2 digits behind the point",
        ),
        (
            "table A { a decimal(4, 2) = 100, allow read }",
            "E literal.invalid [100] this number has more digits than `decimal(4, 2)` holds",
        ),
        (
            "table A { a text(2) = \"abc\", allow read }",
            "E literal.invalid [\"abc\"] this text is longer than the 2 characters of `text(2)`",
        ),
        (
            "table A { a int = null, allow read }",
            "E type.mismatch [null] a required column cannot be null unless it says so with `?`",
        ),
        (
            "table A { a int, b int = a, allow read }",
            "E name.unknown [a] nothing is called `a` here · a default cannot read other columns: it is known before the row is",
        ),
        (
            "table A { a int auto per (now()), allow read }",
            "E expression.misplaced [now] a counter's selector does not know the time of a request",
        ),
    ]);
}

#[test]
fn relations_and_constraints() {
    check(&[
        (
            "table A { users User[] by a, allow read }",
            "E relation.unknown [a] `User` has no column `a` · `User` needs a column such as `a A`",
        ),
        (
            "extend User { boss User? } table A { users User[] by boss, allow read }",
            "E relation.unknown [boss] `User.boss` does not refer to `A` · `User` needs a column such as `a A`",
        ),
        ("extend User { a A? } table A { users User[] by a, allow read }", ""),
        (
            "table A { users User[] unique, allow read }",
            "E modifier.misplaced [unique] `unique` does not fit a relation to many rows",
        ),
        (
            "table A { users User[]?, allow read }",
            "E modifier.misplaced [users User[]?] many rows may be none, but never null: leave `?` away",
        ),
        ("table A { t text, index (tt), allow read }", "E name.unknown [tt] `A` has no column `tt`"),
        (
            "table A { t text, u User[], index (t, t), unique (u), allow read }",
            "E name.duplicate [t] `t` stands here twice\nE constraint.column [u] `u` is a relation to many rows, where a column is expected",
        ),
        (
            "table A { t text secret, label t, order -t\n allow read }",
            "E constraint.column [t] a secret column cannot stand for its row\nE constraint.column [t] rows cannot be ordered by a secret column",
        ),
        (
            "table A { t text\n order t\n order -t\n allow read }",
            "E name.duplicate [order -t] a table has one `order` line",
        ),
        ("table A { history 3, allow read }", "E type.mismatch [3] expected `duration`, found `int`"),
        (
            "table A { t text\n allow raed\n allow delete(t)\n allow link(t) }",
            "E name.unknown [raed] `raed` is nothing that a rule can allow · did you mean `read`?\nE rule.columns [delete] a row is deleted whole: `delete` names no columns\nE name.unknown [t] `A` has no relation to many rows called `t`",
        ),
        (
            "table A { u User[], allow read(u) }",
            "E rule.columns [u] `u` is a relation to many rows: the rules of its rows govern it",
        ),
        (
            "table A { t text, event B { x int }, allow read }",
            "E stream.misplaced [event B { x int }] `event` belongs to a stream; this is a table",
        ),
    ]);
}

#[test]
fn names_in_expressions() {
    check_rule(&[
        ("titel == \"x\"", "E name.unknown [titel] `Item` has no column `titel` · did you mean `title`?"),
        ("team.nam == \"x\"", "E name.unknown [nam] `Team` has no column `nam` · did you mean `name`?"),
        (
            "kind == warnin",
            "E name.unknown [warnin] `warnin` is neither a column nor a value of this enum · did you mean `warning`?",
        ),
        (
            "kind == \"other\"",
            "E name.unknown [\"other\"] `other` is no value of this enum · its values are info, warning",
        ),
        ("usr == null", "E name.unknown [usr] `Item` has no column `usr` · did you mean `user`?"),
        (
            "items.any(title == name)",
            "E name.unknown [title] `Person` has no column `title` · write `this.title` for the one of `Item`",
        ),
        (
            "items.some(name == \"x\")",
            "E name.unknown [some] many rows cannot be asked `some` · they can be asked any, all, none, count, sum, min and max",
        ),
        (
            "items.name == \"x\"",
            "E type.mismatch [items.name] `items` is many rows and has no `name` of its own · ask it something: items.any(name == …)",
        ),
        (
            "items == null",
            "E type.mismatch [items] `items` is many rows, where one value is expected · ask it something: items.any(…), items.count(), `x in items`",
        ),
        ("title.length == 3", "E type.mismatch [length] `text` has no members"),
        (
            "title.lower() == \"x\"",
            "E name.unknown [lower] `text` has no method `lower` · it is a function: lower(…)",
        ),
        ("lowr(title) == \"x\"", "E name.unknown [lowr] there is no function `lowr` · did you mean `lower`?"),
        ("lower() == \"x\"", "E function.arguments [lower()] expected `lower(text)`, found 0 arguments"),
        (
            "old.title == \"x\"",
            "E expression.misplaced [old] `old.` has no meaning in this rule · the rows before and after a change are known to `allow update`, `check` and `warn`",
        ),
        (
            "this.title == \"x\"",
            "E expression.misplaced [this] `this` is the outer row inside `any(…)` and its kin · leave `this.` away: a bare name is a column of the row itself",
        ),
        (
            "user.confirmed(5)",
            "E function.arguments [user.confirmed(5)] `user.confirmed` takes one length of time, such as `5 minutes`",
        ),
        (
            "user.can(title)",
            "E function.arguments [user.can(title)] `user.can` takes one text, such as \"alert/read\"",
        ),
        (
            "title == $x",
            "E expression.misplaced [$x] `$x` belongs to a filter's text; this rule has no such parameters",
        ),
        ("event.at < now()", "E name.unknown [event] `Item` has no column `event`"),
    ]);
}

#[test]
fn types_in_expressions() {
    check_rule(&[
        ("title", "E type.mismatch [title] expected a condition (bool), found `text`"),
        (
            "team",
            "E type.mismatch [team] expected a condition, found a row of `Team` · to ask whether there is one, write `… != null`",
        ),
        ("title == 5", "E type.mismatch [5] `text` and `int` cannot be compared"),
        ("team == other", "E type.mismatch [other] a row of `Team` and a row of `Person` cannot be compared"),
        ("team == 5", "E type.mismatch [5] a row of `Team` and `int` cannot be compared"),
        ("team > user.id", "E type.mismatch [team] a row of `Team` has no order"),
        (
            "f > d",
            "E type.mismatch [d] `float` and `decimal(10, 2)` cannot be compared · a decimal is exact and a float is not: declare both as one of them",
        ),
        (
            "title + \"x\" == \"y\"",
            "E type.mismatch [title + \"x\"] `+` is not made for `text` and `text` · join texts with concat(a, b)",
        ),
        (
            "due + 3 > now()",
            "E type.mismatch [due + 3] `+` is not made for `timestamp` and `int` · say of what: `… + 3 days`",
        ),
        ("due > 3 months", "E syntax [3 months] a month has no fixed length · write it in days or weeks"),
        ("due < today()", "E type.mismatch [today()] `timestamp` and `date` cannot be compared"),
        (
            "due == \"yesterday\"",
            "E literal.invalid [\"yesterday\"] this text is no `timestamp` · for example: 2026-01-31T10:00:00Z",
        ),
        (
            "key == \"abc\"",
            "E literal.invalid [\"abc\"] this text is no `uuid` · for example: 01890a5d-ac96-774b-bcce-b302099a8057",
        ),
        ("day == @2026-02-30", "E syntax [@2026-02-30] there is no day 2026-02-30"),
        (
            "n < null",
            "E type.mismatch [null] nothing is less or greater than null · test for null with `== null` or `!= null`",
        ),
        ("data == 5", "E type.mismatch [5] `json` and `int` cannot be compared"),
        (
            "data.n > 5",
            "E type.mismatch [5] `text` and `int` cannot be compared · a value inside json is text; what is compared by order wants a column",
        ),
        ("tags == title", "E type.mismatch [title] `text[]` and `text` cannot be compared"),
        (
            "title in n",
            "E type.mismatch [n] expected a list or many rows, found `int` · `in` takes [a, b], a list column or a to-many relation; `~` asks whether a text contains another",
        ),
        (
            "tags ~ \"x\"",
            "E type.mismatch [tags] `~` looks for text in text, but this is `text[]` · to look for an item of a list, write `item in list`",
        ),
        (
            "user in team",
            "E type.mismatch [team] a row of `Team` is one row, not many · compare it with `==`",
        ),
        (
            "n == [1, 2]",
            "E expression.misplaced [[1, 2]] a list may stand only behind `in` or as a list's default",
        ),
        ("length(n) > 1", "E type.mismatch [n] `length` expects text, bytes or a list here, found `int`"),
        ("items.sum(name) > 1", "E type.mismatch [name] expected a number, found `text`"),
        (
            "items.all() and items.sum() > 1",
            "E function.arguments [items.all()] `all` takes one condition, found 0\nE function.arguments [items.sum()] `sum` takes one value, found 0",
        ),
        (
            "(if private then n else title) == 1",
            "E type.mismatch [title] this is `text`, but the other is `int`",
        ),
        ("coalesce(n, title) == 1", "E type.mismatch [title] this is `text`, but the other is `int`"),
        (
            "not n and -title == 1",
            "E type.mismatch [n] expected a condition (bool), found `int`\nE type.mismatch [title] expected a number, found `text`",
        ),
    ]);
}

#[test]
fn a_column_named_user_is_never_guessed() {
    check(&[
        (
            "table A { user User, allow read if user == user.id }",
            "E name.ambiguous [user] `user` could be the column of `A` or the caller · give the column another name, such as `owner`; `db \"user\"` keeps it in the database\nE name.ambiguous [user] `user` could be the column of `A` or the caller · give the column another name, such as `owner`; `db \"user\"` keeps it in the database",
        ),
        (
            "table A { user User } table B { a A[], allow read if a.any(user == this.id) }",
            "E name.ambiguous [user] `user` could be the column of `A` or the caller · give the column another name, such as `owner`; `db \"user\"` keeps it in the database",
        ),
    ]);
}

#[test]
fn streams() {
    check(&[
        (
            "stream S { n int\n allow read\n allow update }",
            "E stream.rule [update] a stream changes only by its commands, each with its own `allow`: there is no `update`",
        ),
        (
            "stream S { n int, u User[], v User? on delete null, allow read }",
            "E stream.relation [User[]] a stream changes only by its events: it cannot declare a many-to-many relation\nE modifier.misplaced [null] a stream changes only by its events, so its relations restrict deletion",
        ),
        (
            "stream S { n int, event A { x int }, command c creates { allow, emit A { } }, on A { n = event.y, id = 1 }, allow read }",
            "E emit.missing [emit A { }] `A` needs a value for `x`\nE name.unknown [y] the event has no field `y`\nE stream.fold [id] `id` is set by the platform",
        ),
        (
            "stream S { n int, event A { x int }, command c(y int) { allow if n == y, emit A { x }, emit B }, on C { n = 1 }, allow read }",
            "E name.unknown [x] `c` has no parameter `x` · write `x = …`\nE name.unknown [B] this stream has no event `B`\nE name.unknown [C] this stream has no event `C`",
        ),
        (
            "stream S { n int, event A { x int? }, command c(x int?) creates { allow if n == 1, emit A { x } }, on A { n = event.x }, allow read }",
            "E name.unknown [n] nothing is called `n` here · a command that creates has no row yet: it reads its parameters and the caller\nE type.mismatch [event.x] the event's field may be null, the column may not",
        ),
        (
            "stream S { n int, m int = 1, event A, command c creates { allow, emit A }, on A { m = 2 }, allow read }",
            "E stream.required [c] `c` creates a row without `n`: no `on` block of its events sets it",
        ),
        (
            "stream S { n timestamp?, event A, command c(user User) { emit A }, on A { n = now() }, on A { created = event.at }, allow read }",
            "E name.reserved [user] a parameter `user` would hide the caller: give it another name\nE expression.misplaced [now] an `on` block does not know the time of a request · `event.at` is the time of the event, on a rebuild too\nE name.duplicate [A] there is an `on A` already",
        ),
        (
            "stream S { n text?, t User?, event A { u User }, command c(u User) { allow if u.name == \"x\", emit A { u } }, on A { t = event.u n = t.name }, allow read }",
            "E type.mismatch [name] a parameter is a row's id alone: it cannot be followed\nE type.mismatch [name] an `on` block cannot follow relations here",
        ),
    ]);
}

#[test]
fn datasets_flags_and_settings() {
    check(&[
        (
            "table A { allow read } table B { allow read } dataset A.main { A B }",
            "E dataset.unreachable [B] no relation connects `B` with the tables of this dataset · a detail has a column that refers to the entity or to another detail",
        ),
        (
            "table A { allow read } table B { allow read } dataset A.main { A B reference }",
            "E dataset.unreachable [B] no table of this dataset refers to `B`",
        ),
        (
            "table A { allow read } dataset A.main { }",
            "E dataset.entity [A] a dataset of `A` lists `A` itself among its tables",
        ),
        (
            "table A { allow read } dataset A.main { A reference }",
            "E dataset.entity [A] the entity of a dataset is written through it, so it is no reference",
        ),
        ("dataset B.main { B }", "E name.unknown [B] there is no table `B`"),
        ("flag a = 1 \"x\"", "E type.mismatch [1] expected `bool`, found `int`"),
        ("flag a = true \"x\" flag a = false \"y\"", "E name.duplicate [a] there is a flag `a` already"),
        ("flag a = true setting a int = 1", "E name.duplicate [a] there is a flag `a` already"),
        ("setting a int = \"x\" \"y\"", "E type.mismatch [\"x\"] expected `int`, found `text`"),
        ("setting a User = null \"y\"", "E type.argument [User] a setting holds a value, not a row"),
        (
            "setting aB int = now() \"y\"",
            "E name.style [aB] the name of a setting is written in snake_case · write `a_b`\nE expression.misplaced [now] a constant does not know the time of a request",
        ),
    ]);
}

#[test]
fn advice() {
    check(&[
        (
            "table A { t text }",
            "W rule.none [A] nothing is allowed on `A`: no caller can reach it · add a line such as `allow read if signed_in`",
        ),
        (
            "table A { t text, allow read if 1 == 1, allow update if t == t, allow delete if false }",
            "W rule.constant [1 == 1] this rule is always true · to allow it to everyone, leave `if` away\nW rule.constant [t == t] this rule is always true · to allow it to everyone, leave `if` away\nW rule.constant [false] this rule is never true · what no rule allows is forbidden anyway",
        ),
        (
            "table A { t text, allow read if t != null or signed_in, check 1 < 2 \"x\", warn t == null \"y\" }",
            "W rule.constant [t != null or signed_in] this rule is always true · to allow it to everyone, leave `if` away\nW rule.constant [1 < 2] this can never fail\nW rule.constant [t == null] this always fails: no row could be written",
        ),
        (
            "extend User { allow read if true }",
            "W rule.constant [true] this rule is always true · to allow it to everyone, leave `if` away",
        ),
        (
            "stream S { event A, command c { emit A }, allow read }",
            "W rule.none [c] nothing allows `c`: no caller can send it · add a line such as `allow if signed_in`",
        ),
        (
            "table A { t text, u User, index (t), allow read if u == user and lower(t) == \"x\" or lower(t) == user.name }",
            "W rule.unindexed [lower(t) == user.name] no index can find the rows that this allows · compare a column of `A` as it is with something of the caller",
        ),
        ("table A { t text, allow read if lower(t) == user.name }", ""),
        ("table A { u User, t text index, allow read if u.name == user.name }", ""),
    ]);
}

#[test]
fn tables_of_the_system_take_rules_alone() {
    check(&[
        ("extend Work { allow read if state == \"done\" }", ""),
        (
            "extend Work { note text?, index (state) }",
            "E extend.misplaced [note text?] `Work` stands over a table of the system: it takes rules, no columns and no \
             indexes\nE extend.misplaced [index (state)] `Work` stands over a table of the system: it takes rules, no \
             columns and no indexes",
        ),
        (
            "table A { work Work?, allow read }",
            "E type.reference [Work] rows of `Work` come and go by themselves, so nothing can refer to one · keep its \
             id in a column of type uuid",
        ),
        (
            "table A db \"_a\" { allow read }",
            "E name.reserved [A] `_a` is a name that the platform or the database keeps for itself",
        ),
    ]);
}

#[test]
fn a_reserved_name_is_reported_once() {
    check(&[
        (
            "table A { limit int, allow read }",
            "E name.reserved [limit] `limit` is a word of the query language: a column cannot have this name · \
             choose another name; `db \"limit\"` keeps it in the database",
        ),
        (
            "table A { not int, allow read }",
            "E name.reserved [not] `not` is a word of the language and cannot be a name",
        ),
    ]);
}

#[test]
fn a_line_that_cannot_be_read_leaves_no_trail() {
    check(&[(
        "table A {\n  title\n  size int\n  check title != null and size > 2\n  allow read if size == 1 and title == \"x\"\n}",
        "E syntax [] expected a type after `title`, found the end of the line\n\
         E syntax [] expected a message for people, in quotes, found the end of the line",
    )]);
}
