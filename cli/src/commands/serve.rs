//! `holdfast serve`: one node, told what to do by flags, environment and file.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use holdfast_server::storage::identity;
use holdfast_server::{Node, StartError};

use super::dev;
use crate::config::print::print;
use crate::config::table::{SETTINGS, Setting};
use crate::config::{Config, Layers, Resolved};
use crate::failure::{Failure, OK};
use crate::signals::Endings;
use crate::{logging, output, runtime};

const ABOUT: &str = "\
Runs one node.

Every setting can be given by a flag, by an environment variable, or in a TOML file under its key
(node_id for --node-id). Flags win over the environment, the environment over the file, and the file
over the defaults. --print-config shows the result, and where each value came from.";

const EXAMPLES: &str = "\
Examples:
  holdfast serve                            a node alone, with its data in ./holdfast-data
  holdfast serve --config /etc/holdfast.toml
  HOLDFAST_NODE_ID=2 holdfast serve --config cluster.toml --print-config
  holdfast serve --node-id 1 --client-listen 10.0.0.1:7400 --peer-listen 10.0.0.1:7500 \\
      --member 1=10.0.0.1:7400/10.0.0.1:7500 --member 2=10.0.0.2:7400/10.0.0.2:7500 \\
      --member 3=10.0.0.3:7400/10.0.0.3:7500

A file:
  node_id = 1
  client_listen = \"10.0.0.1:7400\"
  peer_listen = \"10.0.0.1:7500\"

  [[member]]
  node_id = 1
  client_addr = \"10.0.0.1:7400\"
  peer_addr = \"10.0.0.1:7500\"

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 failure, 2 a mistake in the flags or in a setting.";

/// Runs one node.
#[derive(Debug, Args)]
#[command(about = "Runs one node", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Read settings from this TOML file.
    #[arg(long, env = "HOLDFAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings as TOML, with the origin of each, and exit.
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// A flag for every setting of the table.
#[derive(Debug)]
struct SettingFlags(Vec<(&'static str, String)>);

impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let defaults = Config::default();
        command.args(SETTINGS.iter().map(|setting| {
            let default = match setting.value(&defaults) {
                toml::Value::Array(_) => String::new(),
                toml::Value::String(text) => format!(" [default: {text}]"),
                value => format!(" [default: {value}]"),
            };
            let help = format!("{} [env: {}]{default}", setting.doc, setting.variable());
            let long_help = format!("{help}. {}", setting.allowed());
            let action = if setting.is_list() { ArgAction::Append } else { ArgAction::Set };
            Arg::new(setting.key)
                .long(setting.flag())
                .value_name(setting.value_name())
                .allow_hyphen_values(setting.is_number())
                .action(action)
                .help(help)
                .long_help(long_help)
                .help_heading("Settings")
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &Setting| {
            let values = matches.get_many::<String>(setting.key)?;
            Some((setting.key, values.cloned().collect::<Vec<_>>().join(",")))
        };
        Ok(Self(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads the settings, then prints them or runs the node.
pub(crate) fn run(args: &ServeArgs) -> Result<u8, Failure> {
    let resolved = resolve(args)?;
    if args.print_config {
        output::print(print(&resolved))?;
        return Ok(OK);
    }
    let config = &resolved.config;
    refuse_dev(&config.node.data_dir)?;
    logging::start(&config.log, config.log_format)?;
    if !resolved.ignored.is_empty() {
        tracing::info!(variables = resolved.ignored.join(", "), "ignored: these are no settings");
    }
    runtime::block_on_servers(config.runtime_threads, serve(config))?
}

fn resolve(args: &ServeArgs) -> Result<Resolved, Failure> {
    let file = match &args.config {
        None => None,
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!(
                    "cannot read {}: {error}; check what --config or HOLDFAST_CONFIG says",
                    path.display()
                ))
            })?;
            Some((path.display().to_string(), text))
        }
    };
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    Layers { file, environment, flags: args.settings.0.clone() }.resolve().map_err(Failure::usage)
}

/// Whoever left his settings out once would find an empty cluster in the place of his own.
fn refuse_dev(data_dir: &Path) -> Result<(), Failure> {
    if !data_dir.join(dev::SHAPE_FILE).exists() || data_dir.join(identity::NAME).exists() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} holds a cluster of `holdfast dev`; start that, or name another directory with \
         --data-dir",
        data_dir.display()
    )))
}

async fn serve(config: &Config) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let starting = Node::start(config.node.clone());
    let node = tokio::select! {
        started = starting => started.map_err(cannot_start)?,
        _ = endings.next() => return Ok(OK),
    };
    tracing::info!(
        node_id = config.node.node_id,
        clients = %node.client_addr(),
        peers = %node.peer_addr(),
        metrics = node.metrics_addr().map(tracing::field::display),
        data_dir = %config.node.data_dir.display(),
        "serving"
    );
    tokio::select! {
        why = node.stopped() => Err(Failure::failed(why)),
        ending = endings.next() => {
            tracing::info!(?ending, "stopping");
            tokio::select! {
                _ = node.shutdown() => Ok(OK),
                again = endings.next() => Ok(again.exit_code()),
            }
        }
    }
}

/// What a setting says may be wrong only where it is used.
fn cannot_start(error: StartError) -> Failure {
    match error {
        StartError::Certificate(_) => {
            Failure::usage(format!("{error}; look at client_tls_cert and client_tls_key"))
        }
        StartError::Settings(_) => Failure::usage(error),
        _ => Failure::failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn flags(line: &str) -> Vec<(&'static str, String)> {
        let line: Line = clap::Parser::parse_from(line.split(' '));
        line.serve.settings.0
    }

    #[test]
    fn every_setting_has_its_flag() {
        for setting in SETTINGS {
            let given = flags(&format!("serve --{} x", setting.flag()));
            assert_eq!(given, [(setting.key, "x".to_owned())]);
        }
    }

    #[test]
    fn the_directory_of_a_cluster_of_dev_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refuse_dev(dir.path()), Ok(()));
        fs::write(dir.path().join(dev::SHAPE_FILE), "").unwrap();
        let failure = refuse_dev(dir.path()).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.to_string().contains("`holdfast dev`"), "{failure}");
        // A node that has its data there already goes on with them.
        fs::write(dir.path().join(identity::NAME), "").unwrap();
        assert_eq!(refuse_dev(dir.path()), Ok(()));
    }

    #[test]
    fn lists_are_given_by_repetition_and_numbers_may_look_like_flags() {
        let given = flags("serve --member 1=a --member 2=b --node-id -1");
        assert_eq!(given, [("node_id", "-1".to_owned()), ("member", "1=a,2=b".to_owned())]);
    }
}
