//! The ratchet: files and functions that are known to be too long. They may shrink, never grow.
//!
//! `tidy.toml` has a line `"name" = lines` for each, files under `[files]` and functions, as
//! `path::name`, under `[functions]`.

use std::collections::BTreeMap;

const HEADER: &str = "\
# What is longer than it should be. The figures may only go down; `cargo xtask fix` lowers them.
";

/// Known lengths.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ratchet {
    /// By path.
    pub(crate) files: BTreeMap<String, usize>,
    /// By `path::name`.
    pub(crate) functions: BTreeMap<String, usize>,
}

impl Ratchet {
    /// Reads the file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut ratchet = Self::default();
        let mut section = None;
        for (number, line) in text.lines().enumerate() {
            let refuse = |what| Err(format!("xtask/tidy.toml:{}: {what}", number + 1));
            match line.trim() {
                "" => {}
                line if line.starts_with('#') => {}
                "[files]" => section = Some(&mut ratchet.files),
                "[functions]" => section = Some(&mut ratchet.functions),
                line => {
                    let Some(section) = section.as_mut() else {
                        return refuse("give [files] or [functions] first");
                    };
                    let Some((name, lines)) = parse_entry(line) else {
                        return refuse("give \"name\" = lines");
                    };
                    if section.insert(name, lines).is_some() {
                        return refuse("this name was given before");
                    }
                }
            }
        }
        Ok(ratchet)
    }

    /// Writes what [`Ratchet::parse`] reads.
    pub(crate) fn render(&self) -> String {
        let mut text = HEADER.to_owned();
        for (section, entries) in [("files", &self.files), ("functions", &self.functions)] {
            text += &format!("\n[{section}]\n");
            for (name, lines) in entries {
                text += &format!("\"{name}\" = {lines}\n");
            }
        }
        text
    }

    /// Lowers every figure to what is there now, and drops what has become short enough.
    pub(crate) fn lower(&mut self, found: &Self) {
        let pairs = [(&mut self.files, &found.files), (&mut self.functions, &found.functions)];
        for (known, found) in pairs {
            known.retain(|name, _| found.contains_key(name));
            for (name, lines) in known {
                *lines = (*lines).min(found[name]);
            }
        }
    }
}

fn parse_entry(line: &str) -> Option<(String, usize)> {
    let (name, lines) = line.strip_prefix('"')?.split_once('"')?;
    let lines = lines.trim_start().strip_prefix('=')?.trim().parse().ok()?;
    Some((name.into(), lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratchet(files: &[(&str, usize)]) -> Ratchet {
        let files = files.iter().map(|(name, lines)| ((*name).into(), *lines)).collect();
        Ratchet { files, functions: BTreeMap::from([("a.rs::f".into(), 80)]) }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let ratchet = ratchet(&[("a.rs", 450), ("b.rs", 500)]);
        assert_eq!(Ratchet::parse(&ratchet.render()), Ok(ratchet));
        assert!(Ratchet::parse("\"a\" = 1").is_err());
        assert!(Ratchet::parse("[files]\na = 1").is_err());
        assert!(Ratchet::parse("[files]\n\"a\" = 1\n\"a\" = 1").is_err());
    }

    #[test]
    fn figures_go_down_only() {
        let mut known = ratchet(&[("grown", 450), ("shrunk", 500), ("gone", 410)]);
        known.lower(&ratchet(&[("grown", 460), ("shrunk", 420), ("new", 401)]));
        assert_eq!(known, ratchet(&[("grown", 450), ("shrunk", 420)]));
    }
}
