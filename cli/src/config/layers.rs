//! Where settings come from. Later layers win: defaults, then the file, then the environment, then
//! the flags. Every value remembers its origin.

use std::fmt;
use std::ops::Range;

use holdfast_server::MemberSettings;
use toml::de::{DeTable, DeValue};

use super::members::is_wildcard;
use super::table::{Config, MEMBER_KEYS, SETTINGS, Setting};
use super::validate::validate;
use crate::nearest::nearest;

/// How the name of every environment variable of ours begins.
const PREFIX: &str = "HOLDFAST_";

/// Variables that begin like a setting and are something else.
const OTHER_VARIABLES: [&str; 4] =
    ["HOLDFAST_CONFIG", "HOLDFAST_ENDPOINTS", "HOLDFAST_LOCK", "HOLDFAST_TOKEN"];

/// What was given, unread.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// Name and content of the file.
    pub(crate) file: Option<(String, String)>,
    /// Environment variables, all of them or at least those with our prefix.
    pub(crate) environment: Vec<(String, String)>,
    /// Keys of settings, each with the text of its flag.
    pub(crate) flags: Vec<(&'static str, String)>,
}

/// Settings that were read and found sound.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The settings.
    pub(crate) config: Config,
    /// Where each comes from, in the order of the table.
    origins: Vec<Origin>,
    /// Variables with our prefix that are no settings and do not look like one either.
    pub(crate) ignored: Vec<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was not given.
    Default,
    /// A line of the file.
    File { name: String, line: usize },
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { name, line } => write!(f, "{name}, line {line}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file is no TOML.
    #[error("{origin}: {what}; correct the file")]
    Syntax { origin: Origin, what: String },
    /// Nobody knows this key.
    #[error("{origin}: unknown key `{key}`; {advice}")]
    UnknownKey { origin: Origin, key: String, advice: String },
    /// Nobody knows this variable, but it looks like one that is known.
    #[error("unknown environment variable {name}; did you mean {nearest}?")]
    UnknownVariable { name: String, nearest: String },
    /// A value that is not allowed.
    #[error("{key} = {value} ({origin}) is not allowed; give {allowed}")]
    BadValue { key: String, value: String, origin: Origin, allowed: String },
    /// Values that do not go together.
    #[error("{0}")]
    Conflict(String),
}

impl Layers {
    /// Reads every layer in its turn and checks the result as a whole.
    pub(crate) fn resolve(&self) -> Result<Resolved, ConfigError> {
        let mut resolved = Resolved {
            config: Config::default(),
            origins: vec![Origin::Default; SETTINGS.len()],
            ignored: Vec::new(),
        };
        if let Some((name, text)) = &self.file {
            FileLayer { name, text }.read_into(&mut resolved)?;
        }
        self.read_environment(&mut resolved)?;
        for (key, text) in &self.flags {
            if let Some(position) = Setting::position(key) {
                let origin = Origin::Flag(SETTINGS[position].flag());
                resolved.set(position, text, text, origin)?;
            }
        }
        resolved.be_alone_without_members()?;
        validate(&resolved)?;
        Ok(resolved)
    }

    fn read_environment(&self, resolved: &mut Resolved) -> Result<(), ConfigError> {
        for (name, text) in &self.environment {
            let Some(suffix) = name.strip_prefix(PREFIX) else { continue };
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            if let Some(position) = SETTINGS.iter().position(|s| s.variable() == *name) {
                resolved.set(position, text, text, Origin::Environment(name.clone()))?;
                continue;
            }
            let known = SETTINGS.iter().map(Setting::variable);
            let known: Vec<String> = known.chain(OTHER_VARIABLES.map(String::from)).collect();
            let suffixes = known.iter().map(|known| known.trim_start_matches(PREFIX));
            // Container platforms make up variables of their own from names of services, so only
            // what is close to a setting is taken for a slip.
            if let Some(meant) = nearest(suffix, suffixes) {
                let nearest = format!("{PREFIX}{meant}");
                return Err(ConfigError::UnknownVariable { name: name.clone(), nearest });
            }
            resolved.ignored.push(name.clone());
        }
        Ok(())
    }
}

impl Resolved {
    /// Where the setting with this key comes from.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        Setting::position(key).map_or(&Origin::Default, |position| &self.origins[position])
    }

    /// `key = value (origin)`, for messages.
    pub(crate) fn describe(&self, key: &str) -> String {
        let value = Setting::position(key).map(|at| SETTINGS[at].value(&self.config).to_string());
        format!("{key} = {} ({})", value.unwrap_or_default(), self.origin(key))
    }

    /// Stores one value. `shown` is how it was written.
    fn set(
        &mut self,
        position: usize,
        text: &str,
        shown: &str,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let setting = &SETTINGS[position];
        if setting.parse(&mut self.config, text).is_none() {
            return Err(not_allowed(setting, shown, origin));
        }
        self.origins[position] = origin;
        Ok(())
    }

    fn be_alone_without_members(&mut self) -> Result<(), ConfigError> {
        let node = &self.config.node;
        if !node.members.is_empty() {
            return Ok(());
        }
        for (key, address) in
            [("client_listen", &node.client_listen), ("peer_listen", &node.peer_listen)]
        {
            if is_wildcard(address) {
                return Err(ConfigError::Conflict(format!(
                    "{} names no address that others could use; name this node's addresses \
                     with --member {}=CLIENT_ADDR/PEER_ADDR",
                    self.describe(key),
                    node.node_id,
                )));
            }
        }
        let alone = MemberSettings {
            node_id: node.node_id,
            client_addr: node.client_listen.clone(),
            peer_addr: node.peer_listen.clone(),
        };
        self.config.node.members.push(alone);
        Ok(())
    }
}

fn not_allowed(setting: &Setting, shown: &str, origin: Origin) -> ConfigError {
    let (key, value) = (setting.key.into(), shown.into());
    ConfigError::BadValue { key, value, origin, allowed: setting.allowed() }
}

/// The file while it is read.
struct FileLayer<'a> {
    name: &'a str,
    text: &'a str,
}

impl FileLayer<'_> {
    fn read_into(&self, resolved: &mut Resolved) -> Result<(), ConfigError> {
        let table = DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            origin: self.origin(error.span().unwrap_or_default()),
            what: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        for (key, value) in table.get_ref() {
            let origin = self.origin(key.span());
            let name = key.get_ref().as_ref();
            let Some(position) = Setting::position(name) else {
                let known = SETTINGS.iter().map(|setting| setting.key);
                return Err(unknown_key(origin, name, known, "see `holdfast serve --help`"));
            };
            let shown = &self.text[value.span()];
            let text = if SETTINGS[position].is_list() {
                self.members_text(value.get_ref())?
            } else {
                scalar_text(value.get_ref(), SETTINGS[position].is_number())
            };
            let Some(text) = text else {
                return Err(not_allowed(&SETTINGS[position], shown, origin));
            };
            resolved.set(position, &text, shown, origin)?;
        }
        Ok(())
    }

    /// An array of tables in the form of the flag; `None` if it is something else.
    fn members_text(&self, value: &DeValue<'_>) -> Result<Option<String>, ConfigError> {
        let Some(array) = value.as_array() else { return Ok(None) };
        let mut members = Vec::new();
        for member in array.iter() {
            let Some(table) = member.get_ref().as_table() else { return Ok(None) };
            for key in table.keys() {
                if !MEMBER_KEYS.contains(&key.get_ref().as_ref()) {
                    let all = format!("give {}", MEMBER_KEYS.join(", "));
                    let origin = self.origin(key.span());
                    return Err(unknown_key(origin, key.get_ref(), MEMBER_KEYS.into_iter(), &all));
                }
            }
            let field = |key: &str, number| {
                table.get(key).and_then(|value| scalar_text(value.get_ref(), number))
            };
            let [id, client_addr, peer_addr] = MEMBER_KEYS.map(|key| field(key, key == "node_id"));
            let (Some(id), Some(client), Some(peer)) = (id, client_addr, peer_addr) else {
                return Err(ConfigError::BadValue {
                    key: "member".into(),
                    value: self.text[member.span()]
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                    origin: self.origin(member.span()),
                    allowed: "node_id as a number, client_addr and peer_addr as strings".into(),
                });
            };
            members.push(format!("{id}={client}/{peer}"));
        }
        Ok(Some(members.join(",")))
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or_default();
        Origin::File { name: self.name.into(), line: 1 + before.matches('\n').count() }
    }
}

/// The text of a string or of a number, whichever is asked for.
fn scalar_text(value: &DeValue<'_>, number: bool) -> Option<String> {
    if number {
        let integer = value.as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n.to_string())
    } else {
        value.as_str().map(Into::into)
    }
}

/// `otherwise` is the advice if it is like none of those that are known.
fn unknown_key<'a>(
    origin: Origin,
    key: &str,
    known: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> ConfigError {
    let advice = match nearest(key, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => otherwise.into(),
    };
    ConfigError::UnknownKey { origin, key: key.into(), advice }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
