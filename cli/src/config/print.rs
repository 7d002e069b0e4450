//! Settings as a file that could be read again, with the origin of every value beside it.

use super::layers::Resolved;
use super::table::{MEMBER_KEYS, SETTINGS};

/// The whole configuration as TOML.
pub(crate) fn print(resolved: &Resolved) -> String {
    let mut lines = Vec::new();
    let mut lists = Vec::new();
    for setting in SETTINGS {
        let origin = resolved.origin(setting.key);
        match setting.value(&resolved.config) {
            toml::Value::Array(tables) => {
                for table in tables {
                    lists.push((String::new(), None));
                    lists.push((format!("[[{}]]", setting.key), Some(origin)));
                    for key in MEMBER_KEYS {
                        if let Some(value) = table.get(key) {
                            lists.push((format!("{key} = {value}"), Some(origin)));
                        }
                    }
                }
            }
            value => lines.push((format!("{} = {value}", setting.key), Some(origin))),
        }
    }
    // In TOML everything after an array of tables would belong to it, so these come last.
    lines.append(&mut lists);
    let width = lines.iter().map(|(text, _)| text.chars().count()).max().unwrap_or_default();
    lines
        .into_iter()
        .map(|(text, origin)| match origin {
            Some(origin) => format!("{text:width$}  # {origin}\n"),
            None => "\n".into(),
        })
        .collect()
}
