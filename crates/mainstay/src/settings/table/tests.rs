//! The page of settings beside the table.

use super::{NAMED, SETTINGS};

#[test]
fn the_page_of_settings_lists_every_setting_and_no_other() {
    let page = include_str!("../../../../../docs/src/settings.md");
    let (_, listed) = page.split_once("## All of them\n\n").expect("the page ends with its list");
    let entries = SETTINGS.iter().map(|setting| {
        let mut line = format!("`--{} {}` · `{}`", setting.flag, setting.placeholder, setting.variable());
        if !setting.default.is_empty() {
            line.push_str(&format!(" · default `{}`", setting.default));
        }
        format!("### {}\n\n{line}\n\n{}\n", setting.name, setting.help)
    });
    let named = NAMED.iter().map(|setting| {
        let (_, last) = setting.name.rsplit_once('.').expect("the name has a section");
        let mut line = format!("`{last} = {}` · `{}`", setting.placeholder, setting.variable("NAME"));
        if !setting.default.is_empty() {
            line.push_str(&format!(" · default `{}`", setting.default));
        }
        format!("### {}\n\n{line}\n\n{}\n", setting.name, setting.help)
    });
    let entries = entries.chain(named);
    assert_eq!(listed, entries.collect::<Vec<_>>().join("\n"));
}
