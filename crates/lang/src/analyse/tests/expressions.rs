//! What expressions become: each line is a rule of `Item` beside its typed form.

use super::analysed;
use super::dump::dump;

const SCHEMA: &str = "
extend User { team Team?, level int = 1, code text? secret }
table Team { name text(100), boss User?, region text?, members User[] by team, items Item[] by owner, allow read }
table Item {
  title text(50), note text?, status enum(new, opened, empty) = new, size enum(s, m, l)?
  owner Team, other Team?, helpers User[]
  count_ int, ratio float?, price decimal(10, 2), rate decimal(6, 4)?, big uuid?
  day date?, at time?, due timestamp?, span duration?
  data json?, tags text[], raw bytes?, active bool
  allow update if ";

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (_, analysis) = analysed(&format!("{SCHEMA}{text}\n}}"));
        let Some(schema) = &analysis.schema else { panic!("{text}: {:#?}", analysis.diagnostics) };
        let item = schema.table_named("Item").expect("declared");
        let condition = item.rules[0].condition.as_ref().expect("given");
        assert_eq!(dump(schema, condition), *expected, "{text}");
    }
}

#[test]
fn names_and_paths() {
    check(&[
        ("active", "active"),
        ("owner == user.team", "(Eq owner user.team)"),
        ("owner.name == \"Bar\"", "(Eq owner.name \"Bar\":text)"),
        ("owner.boss.level > 2", "(Gt owner.boss.level 2:int)"),
        // The key of a target is the column that refers to it.
        ("owner.id == user.team.id", "(Eq owner user.team)"),
        ("owner == user.team.boss.team", "(Eq owner user.team.boss.team)"),
        ("old.title != new.title", "(Ne old.title new.title)"),
        ("old.owner.name == new.owner.name", "(Eq old.owner.name new.owner.name)"),
        ("user.code == title", "(Eq user.code title)"),
        ("signed_in and user != null", "(and SignedIn (some User))"),
        ("user.can(\"a/b\") or user.has_role(\"x\")", "(or Can(\"a/b\") HasRole(\"x\"))"),
        ("user.confirmed(5 minutes)", "Confirmed(Confirmed { factor: Any, within_us: 300000000 })"),
        ("user.confirmed_twice(1 hour)", "Confirmed(Confirmed { factor: Second, within_us: 3600000000 })"),
        ("owner.boss == user", "(Eq owner.boss User)"),
        ("data.address.city == \"Bern\"", "(Eq (json data address.city) \"Bern\":text)"),
        (
            "data.n == 5 and data.ok == true",
            "(and (Eq (json data n) \"5\":text) (Eq (json data ok) \"true\":text))",
        ),
    ]);
}

#[test]
fn many_rows_are_asked_in_their_own_scope() {
    check(&[
        ("helpers.any(id == user.id)", "(Any helpers (Eq id user.id))"),
        ("helpers.any()", "(Any helpers)"),
        ("helpers.count() > 2", "(Gt (Count helpers) 2:int)"),
        ("helpers.all(team == this.owner)", "(All helpers (Eq team ^1.owner))"),
        (
            "helpers.sum(level) > owner.members.max(level)",
            "(Gt (Sum helpers level) (Max owner.members level))",
        ),
        ("user in helpers", "(Any helpers (Eq id User))"),
        ("owner.boss in helpers", "(Any helpers (Eq id ^1.owner.boss))"),
        ("user not in owner.members", "(not (Any owner.members (Eq id User)))"),
        ("user.team.members.any(level > this.count_)", "(Any user.team.members (Gt level ^1.count_))"),
        (
            "owner.members.any(team.items.none(owner == this.team))",
            "(Any owner.members (None team.items (Eq owner ^1.team)))",
        ),
    ]);
}

#[test]
fn words_without_a_type_take_it_from_their_neighbour() {
    check(&[
        ("status == new", "(Eq status \"new\":text)"),
        ("new == status", "(Eq \"new\":text status)"),
        ("status != \"opened\"", "(Ne status \"opened\":text)"),
        ("status < opened", "(Lt (rank status) (rank \"opened\":text))"),
        ("status in [new, empty]", "(in status [\"new\":text \"empty\":text])"),
        ("status == (if active then new else empty)", "(Eq status (if active \"new\":text \"empty\":text))"),
        (
            "big == \"01890A5D-ac96-774b-bcce-b302099a8057\"",
            "(Eq big \"01890a5d-ac96-774b-bcce-b302099a8057\":uuid)",
        ),
        (
            "owner == \"01890a5d-ac96-774b-bcce-b302099a8057\"",
            "(Eq owner \"01890a5d-ac96-774b-bcce-b302099a8057\":uuid)",
        ),
        ("day == \"2026-01-31\"", "(Eq day \"2026-01-31\":date)"),
        ("day == @2026-01-31", "(Eq day \"2026-01-31\":date)"),
        ("due > @2026-01-31", "(Gt due \"2026-01-31T00:00:00.000000Z\":timestamp)"),
        ("at < \"10:00:00\"", "(Lt at \"10:00:00.000000\":time)"),
        ("span > \"PT1H\"", "(Gt span \"PT1H\":duration)"),
        ("note == null", "(null note)"),
        ("null != note", "(some note)"),
        ("(size ?? s) == m", "(Eq (?? size \"s\":text) \"m\":text)"),
        ("\"a\" in tags", "(in \"a\":text tags)"),
    ]);
}

#[test]
fn arithmetic_is_brought_to_one_type() {
    check(&[
        ("count_ + 1 > 2", "(Gt (Add count_ 1:int):int 2:int)"),
        ("ratio * 1.5 > 2", "(Gt (Mul ratio 1.5:float):float 2.0:float)"),
        ("count_ / 2 == ratio", "(Eq (as float (Div count_ 2:int):int) ratio)"),
        ("price > 5", "(Gt price \"5.00\":decimal)"),
        ("price > 1.555", "(Gt (as decimal(18, 3) price) \"1.555\":decimal)"),
        ("price + rate > 0", "(Gt (Add (as decimal(18, 4) price) rate):decimal(18, 4) \"0.0000\":decimal)"),
        ("price * count_ > 0", "(Gt (Mul price (as decimal(18, 0) count_)):decimal(18, 2) \"0.00\":decimal)"),
        ("price / rate > 0", "(Gt (Div price rate):decimal(18, 10) \"0.0000000000\":decimal)"),
        ("created + 2 hours < now()", "(Lt (Add created \"PT2H\":duration):timestamp Now)"),
        ("now() - created > 30 days", "(Gt (Sub Now created):duration \"P30D\":duration)"),
        ("day - 1 week == today()", "(Eq (Sub day \"P7D\":duration):date Today)"),
        ("2 * span > 1 minute", "(Gt (Mul span 2:int):duration \"PT1M\":duration)"),
        ("-count_ < -5", "(Lt (- count_) -5:int)"),
        ("(note ?? title) ~ \"x\"", "(~ (?? note title) \"x\":text)"),
        ("title !~ \"x\"", "(not (~ title \"x\":text))"),
        (
            "length(tags) > 2 and year(created) == 2026",
            "(and (Gt (Length tags) 2:int) (Eq (Year created) 2026:int))",
        ),
        (
            "like(title, \"a%\") and starts_with(title, note)",
            "(and (Like title \"a%\":text) (StartsWith title note))",
        ),
        ("round(price, 1) > abs(rate)", "(Gt (as decimal(18, 4) (Round price 1:int)) (Abs rate))"),
        ("concat(title, status) == lower(title)", "(Eq (Concat title status) (Lower title))"),
    ]);
}

#[test]
fn long_chains_are_flat_and_deep_trees_are_refused() {
    let chain = vec!["active"; 150].join(" or ");
    let (_, analysis) = analysed(&format!("{SCHEMA}{chain}\n}}"));
    assert!(analysis.schema.is_some(), "{:?}", analysis.diagnostics);
    // On the small stack of a worker thread: it must end with words, not by overflowing.
    let run = || {
        for text in [
            format!("{}active{}", "(".repeat(190), ")".repeat(190)),
            format!("count_ {} > 0", "+ 1 ".repeat(190)),
        ] {
            analysed(&format!("{SCHEMA}{text}\n}}"));
        }
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

/// Words that make expressions of every shape, most of them wrong.
const WORDS: &[&str] = &[
    "title",
    "status",
    "owner",
    ".name",
    ".boss",
    "helpers",
    ".any(",
    ".count()",
    "this.",
    "user",
    ".team",
    "old.",
    "(",
    ")",
    "and",
    "or",
    "not",
    "==",
    "!=",
    "<",
    "in",
    "[",
    "]",
    ",",
    "~",
    "??",
    "+",
    "-",
    "*",
    "/",
    "%",
    "if",
    "then",
    "else",
    "1",
    "1.5",
    "\"x\"",
    "null",
    "true",
    "new",
    "opened",
    "@2026-01-31",
    "3 days",
    "$a",
    "$b",
    "data",
    ".x",
    "tags",
    "due",
    "price",
    "ratio",
    "lower(",
    "coalesce(",
    "now()",
];

proptest::proptest! {
    #[test]
    fn any_words_end_in_a_schema_or_an_error(picks in proptest::collection::vec(0..WORDS.len(), 1..25)) {
        let text = picks.iter().map(|pick| WORDS[*pick]).collect::<Vec<_>>().join(" ");
        let (_, analysis) = analysed(&format!("{SCHEMA}{text}\n}}"));
        let failed = analysis.diagnostics.iter().any(|problem| problem.severity == crate::diagnostic::Severity::Error);
        assert_eq!(analysis.schema.is_none(), failed);
        let (_, plain) = analysed(&format!("{SCHEMA}active\n}}"));
        let schema = plain.schema.expect("right without the words");
        if let Err(problems) = crate::filter::compile_filter(&schema, schema.table_names["Item"], &text) {
            assert!(!problems.is_empty(), "{text}");
        }
    }
}

#[test]
fn nested_lists_are_read_once() {
    let text = format!("{}true{}", "null in [(".repeat(60), ")]".repeat(60));
    let (_, analysis) = analysed(&format!("{SCHEMA}{text}\n}}"));
    assert!(analysis.diagnostics.len() < 100);
}
