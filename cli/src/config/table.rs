//! Every setting of a node, once: its key, its meaning, what is allowed, and where it is stored.

use holdfast_server::{MemberSettings, Settings};

use super::{members, texts, tls_files};

/// What `holdfast serve` runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// What the node itself is told.
    pub(crate) node: Settings,
    /// Which log lines are written.
    pub(crate) log: String,
    /// How they are written.
    pub(crate) log_format: LogFormat,
    /// Threads that run the node; 0 leaves the choice to the program.
    pub(crate) runtime_threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: Settings::default(),
            // The engine tells every step of its own at this level.
            log: "info,openraft=error".into(),
            log_format: LogFormat::Text,
            runtime_threads: 0,
        }
    }
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// One setting.
pub(crate) struct Setting {
    /// Its key in the file. Flag and environment variable are named after it.
    pub(crate) key: &'static str,
    /// One sentence on what it is.
    pub(crate) doc: &'static str,
    kind: Kind,
}

enum Kind {
    Number { min: u64, max: u64, read: fn(&Config) -> u64, write: fn(&mut Config, u64) },
    Text { allowed: &'static str, read: fn(&Config) -> String, write: WriteText },
    Members,
}

/// Stores the text, or says no by `None`.
type WriteText = fn(&mut Config, &str) -> Option<()>;

macro_rules! number {
    ($key:ident, $($field:ident).+, $min:expr, $max:expr, $doc:expr) => {
        Setting {
            key: stringify!($key),
            doc: $doc,
            kind: Kind::Number {
                min: $min,
                max: $max,
                read: |config| config.$($field).+ as u64,
                write: |config, value| config.$($field).+ = value as _,
            },
        }
    };
}

macro_rules! text {
    ($key:ident, $read:expr, $write:expr, $allowed:expr, $doc:expr) => {
        Setting {
            key: stringify!($key),
            doc: $doc,
            kind: Kind::Text { allowed: $allowed, read: $read, write: $write },
        }
    };
}

const ADDRESS: &str = "host:port with a port from 1 to 65535, an IPv6 address in brackets";

/// For what is not wanted.
const OFF: &str = "off";

/// All of them, in the order in which they are listed everywhere.
pub(crate) const SETTINGS: &[Setting] = &[
    number!(node_id, node.node_id, 1, i64::MAX as u64, "This node's id, never reused"),
    text!(
        cluster,
        |c| c.node.cluster.clone(),
        |c, text| texts::is_label(text).then(|| c.node.cluster = text.into()),
        "1 to 64 letters, digits, '-', '_' or '.'",
        "Name of the cluster; nodes of another name are refused"
    ),
    text!(
        data_dir,
        |c| c.node.data_dir.display().to_string(),
        |c, text| (!text.is_empty()).then(|| c.node.data_dir = text.into()),
        "the path of a directory",
        "Where the node keeps its log and its snapshots"
    ),
    text!(
        client_listen,
        |c| c.node.client_listen.clone(),
        |c, text| members::is_address(text).then(|| c.node.client_listen = text.into()),
        ADDRESS,
        "Address on which clients are served"
    ),
    text!(
        client_tls_cert,
        |c| tls_files::read(c, |files| &files.cert),
        |c, text| tls_files::write(c, text, |files| &mut files.cert),
        "the path of a PEM file; empty: the port is not encrypted",
        "Certificate of the client port, with its chain; read again when it changes"
    ),
    text!(
        client_tls_key,
        |c| tls_files::read(c, |files| &files.key),
        |c, text| tls_files::write(c, text, |files| &mut files.key),
        "the path of a PEM file, together with client_tls_cert",
        "Private key of that certificate"
    ),
    number!(
        connections_max,
        node.connections_max,
        1,
        1 << 20,
        "Clients that may be connected at once; more are closed"
    ),
    text!(
        watch_origins,
        |c| c.node.watch_origins.join(","),
        |c, text| texts::origins(text).map(|origins| c.node.watch_origins = origins),
        "origins such as https://console.example, separated by commas; * for any; empty: none",
        "From where pages may use the node through a browser, beside those of the node itself"
    ),
    text!(
        peer_listen,
        |c| c.node.peer_listen.clone(),
        |c, text| members::is_address(text).then(|| c.node.peer_listen = text.into()),
        ADDRESS,
        "Address on which peers are served"
    ),
    text!(
        metrics_listen,
        |c| c.node.metrics_listen.clone().unwrap_or_else(|| OFF.into()),
        |c, text| {
            let is_good = text == OFF || members::is_address(text);
            is_good.then(|| c.node.metrics_listen = (text != OFF).then(|| text.into()))
        },
        "off, or host:port with a port from 1 to 65535, an IPv6 address in brackets",
        "Address on which metrics and health are served beside the client port"
    ),
    Setting {
        key: "member",
        doc: "A member of the cluster, this node among them; without any, the node is alone",
        kind: Kind::Members,
    },
    number!(heartbeat_ms, node.heartbeat_ms, 1, 60_000, "How often a leader makes itself heard"),
    number!(
        election_timeout_min_ms,
        node.election_timeout_min_ms,
        1,
        600_000,
        "Shortest silence after which a follower stands for election"
    ),
    number!(
        election_timeout_max_ms,
        node.election_timeout_max_ms,
        1,
        600_000,
        "Longest such silence"
    ),
    number!(
        snapshot_entries,
        node.snapshot_entries,
        1,
        1 << 40,
        "A snapshot is taken after so many log entries"
    ),
    number!(
        snapshot_bytes,
        node.snapshot_bytes,
        1 << 10,
        1 << 40,
        "Or after so many bytes of log; a larger state waits for as much log as it has"
    ),
    number!(
        keep_entries,
        node.keep_entries,
        0,
        1 << 40,
        "Entries that stay in the log behind a snapshot, for peers that lag a little"
    ),
    number!(keep_bytes, node.keep_bytes, 0, 1 << 40, "Or so many bytes of them, if that is less"),
    number!(segment_bytes, node.segment_bytes, 1 << 10, 1 << 30, "Size of one log file"),
    number!(
        journal_bytes,
        node.journal_bytes,
        0,
        1 << 40,
        "Bytes of past events that are kept on disk for watches; 0: none"
    ),
    number!(disk_reserve_bytes, node.disk_reserve_bytes, 0, 1 << 40, "Bytes of disk to keep free"),
    number!(
        batches_in_flight,
        node.batches_in_flight,
        1,
        1_024,
        "Batches that may be on their way to the quorum at once"
    ),
    number!(batch_commands_max, node.batch_commands_max, 1, 1 << 20, "Most commands in one batch"),
    number!(
        batch_bytes_max,
        node.batch_bytes_max,
        1 << 10,
        BATCH_BYTES_LIMIT,
        "Most bytes in one batch"
    ),
    number!(
        shutdown_grace_ms,
        node.shutdown_grace_ms,
        0,
        600_000,
        "How long a graceful shutdown may take"
    ),
    text!(
        log,
        |c| c.log.clone(),
        |c, text| texts::is_filter(text).then(|| c.log = text.into()),
        "a level (error, warn, info, debug, trace, off) or a filter such as \
         info,holdfast_server=debug",
        "Which log lines are written"
    ),
    text!(
        log_format,
        |c| c.log_format.name().into(),
        |c, text| {
            c.log_format = <LogFormat as clap::ValueEnum>::from_str(text, false).ok()?;
            Some(())
        },
        "text or json",
        "How log lines are written"
    ),
    number!(
        runtime_threads,
        runtime_threads,
        0,
        1_024,
        "Threads that run the node; 0: one on up to 4 cores, else one for each core"
    ),
];

/// A batch must fit into a frame between nodes, with room to spare.
const BATCH_BYTES_LIMIT: u64 = holdfast_proto::FRAME_BYTES_MAX as u64 / 2;

impl Setting {
    /// The setting with this key. Keys come from this table, so it is there.
    pub(crate) fn position(key: &str) -> Option<usize> {
        SETTINGS.iter().position(|setting| setting.key == key)
    }

    /// Name of its flag, without the dashes.
    pub(crate) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Name of its environment variable.
    pub(crate) fn variable(&self) -> String {
        match self.kind {
            Kind::Members => "HOLDFAST_MEMBERS".into(),
            Kind::Number { .. } | Kind::Text { .. } => {
                format!("HOLDFAST_{}", self.key.to_ascii_uppercase())
            }
        }
    }

    /// What stands for the value in a help text.
    pub(crate) fn value_name(&self) -> &'static str {
        match self.kind {
            Kind::Number { .. } => "N",
            Kind::Text { .. } => "TEXT",
            Kind::Members => "ID=CLIENT_ADDR/PEER_ADDR",
        }
    }

    /// Whether it is a list: a flag that may be repeated, an array of tables in the file.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Members)
    }

    /// Whether the file holds it as a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number { .. })
    }

    /// What a value must be.
    pub(crate) fn allowed(&self) -> String {
        match &self.kind {
            Kind::Number { min, max, .. } => format!("a whole number from {min} to {max}"),
            Kind::Text { allowed, .. } => (*allowed).into(),
            Kind::Members => members::ALLOWED.into(),
        }
    }

    /// Reads the text into the configuration; `None` if it is not [`Setting::allowed`].
    pub(crate) fn parse(&self, config: &mut Config, text: &str) -> Option<()> {
        match &self.kind {
            Kind::Number { min, max, write, .. } => {
                let number = text.parse().ok().filter(|number| (*min..=*max).contains(number))?;
                write(config, number);
                Some(())
            }
            Kind::Text { write, .. } => write(config, text),
            Kind::Members => {
                config.node.members = members::parse(text)?;
                Some(())
            }
        }
    }

    /// The value as the file would have it: a number, a string, or an array of tables.
    pub(crate) fn value(&self, config: &Config) -> toml::Value {
        match &self.kind {
            // Every maximum of the table fits.
            Kind::Number { read, .. } => toml::Value::Integer(read(config) as i64),
            Kind::Text { read, .. } => toml::Value::String(read(config)),
            Kind::Members => {
                toml::Value::Array(config.node.members.iter().map(member_value).collect())
            }
        }
    }
}

/// Keys of a member in the file, in the order of the text form.
pub(crate) const MEMBER_KEYS: [&str; 3] = ["node_id", "client_addr", "peer_addr"];

fn member_value(member: &MemberSettings) -> toml::Value {
    let values = [
        toml::Value::Integer(member.node_id as i64),
        toml::Value::String(member.client_addr.clone()),
        toml::Value::String(member.peer_addr.clone()),
    ];
    toml::Value::Table(MEMBER_KEYS.iter().map(ToString::to_string).zip(values).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_survives_its_own_text() {
        let defaults = Config::default();
        for setting in SETTINGS.iter().filter(|setting| !setting.is_list()) {
            let text = match setting.value(&defaults) {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            let mut config = defaults.clone();
            assert!(setting.parse(&mut config, &text).is_some(), "{} = {text}", setting.key);
            assert_eq!(config, defaults, "{}", setting.key);
        }
    }

    #[test]
    fn every_setting_is_stored_in_its_own_field() {
        let mut config = Config::default();
        for setting in SETTINGS {
            let before = config.clone();
            let tries = ["7777", "777", "x:1", "1=a:1/a:2", "json", "http://a", "some"];
            let taken = tries.iter().find(|text| setting.parse(&mut config, text).is_some());
            assert!(taken.is_some() && config != before, "{}", setting.key);
            let changed = SETTINGS.iter().filter(|s| s.value(&config) != s.value(&before));
            assert_eq!(changed.map(|s| s.key).collect::<Vec<_>>(), [setting.key]);
        }
    }

    #[test]
    fn names_follow_the_key() {
        let setting = &SETTINGS[Setting::position("election_timeout_min_ms").unwrap()];
        assert_eq!(setting.flag(), "election-timeout-min-ms");
        assert_eq!(setting.variable(), "HOLDFAST_ELECTION_TIMEOUT_MIN_MS");
    }
}
