//! One RabbitMQ server: its environment, its settings, and how it is asked.
//!
//! Nothing is shared with an installation on the same machine: names, ports, cookie and home are
//! the run's own, and so is the daemon by which Erlang's nodes find each other.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{NODES, NodeStatus};

/// The queue of all, and the name of the replicas behind it.
pub(crate) const QUEUE: &str = "bench";
const REPLICAS: &str = "%2F_bench";
/// How long a server may take to answer what it is asked, in seconds.
const ASK_WITHIN_S: &str = "1";

/// What is asked of a server: version, how many servers it sees and itself is up, what it is among
/// the queue's replicas, and their term.
const QUESTION: &str = "\
    Replicas = 'REPLICAS', \
    Role = case ets:lookup(ra_state, Replicas) of [{_, Known}] -> Known; [] -> none end, \
    Term = case Role of none -> 0; _ -> \
        #{names := #{log_meta := Meta}} = ra_system:fetch(quorum_queues), \
        Uid = ra_directory:uid_of(quorum_queues, Replicas), \
        ra_log_meta:fetch(Meta, Uid, current_term, 0) end, \
    Up = length([up || rabbit:is_running()]) * (length(nodes()) + 1), \
    lists:flatten(io_lib:format(\"~s ~b ~s ~b\", [rabbit_misc:version(), Up, Role, Term])).\n";

/// What all nodes of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// Of the programs that Erlang comes with.
    pub(crate) erl_call: PathBuf,
    /// A folder with the cookie, and nothing else of anybody's.
    pub(crate) home: PathBuf,
    pub(crate) cookie: String,
    /// Where nodes find each other.
    pub(crate) epmd: SocketAddr,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    version: String,
    up: usize,
    role: String,
    term: u64,
}

impl Surroundings {
    /// Makes the home, with the cookie as Erlang wants it.
    pub(crate) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.home)?;
        let cookie = self.home.join(".erlang.cookie");
        fs::write(&cookie, &self.cookie)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        fs::write(self.plugins(), "[].\n")
    }

    fn plugins(&self) -> PathBuf {
        self.home.join("enabled_plugins")
    }

    /// The variables that epmd reads, as do all that speak with it.
    pub(crate) fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HOME", self.home.display().to_string()),
            ("ERL_EPMD_ADDRESS", self.epmd.ip().to_string()),
            ("ERL_EPMD_PORT", self.epmd.port().to_string()),
            // A server that is ended while it starts has helpers, which live a moment longer. They
            // must not start a daemon that nobody ends, nor leave a dump where the runner is.
            ("ERL_FLAGS", "-start_epmd false".to_owned()),
            ("ERL_CRASH_DUMP", self.home.join("erl_crash.dump").display().to_string()),
        ]
    }

    /// The variables of server `node`, whose folder is `data`.
    pub(crate) fn node_env(
        &self,
        node: usize,
        data: &Path,
        distribution: SocketAddr,
    ) -> Vec<(&'static str, String)> {
        let place = |name: &str| data.join(name).display().to_string();
        let mut env = self.env();
        env.extend([
            // The script becomes the server instead of a parent that waits for it.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            ("RABBITMQ_NODENAME", node_name(node)),
            ("RABBITMQ_CONFIG_FILE", place("rabbitmq.conf")),
            // Where an installation on the same machine would have more settings there is nothing.
            ("RABBITMQ_CONF_ENV_FILE", place("no-such-file")),
            ("RABBITMQ_CONFIG_FILES", place("no-such-folder")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", place("no-such-file")),
            ("RABBITMQ_MNESIA_BASE", place("mnesia")),
            ("RABBITMQ_LOG_BASE", place("log")),
            ("RABBITMQ_PID_FILE", place("pid")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", self.plugins().display().to_string()),
            ("RABBITMQ_DIST_PORT", distribution.port().to_string()),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
            ),
        ]);
        env
    }

    /// Asks server `node`, without help of the others.
    pub(crate) async fn ask(&self, node: usize) -> Result<Answer, String> {
        let mut command = Command::new(&self.erl_call);
        command
            .args(["-sname", &node_name(node), "-c", &self.cookie, "-r"])
            .args(["-timeout", ASK_WITHIN_S, "-e"])
            .envs(self.env())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let asked = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn()?;
            if let Some(mut input) = child.stdin.take() {
                // Fails if nobody is there to be asked, which the answer says.
                let _ = input.write_all(QUESTION.replace("REPLICAS", REPLICAS).as_bytes());
            }
            child.wait_with_output()
        });
        let output = asked.await.map_err(|error| error.to_string())?;
        let output = output.map_err(|error| error.to_string())?;
        let (said, failed) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
        let said = String::from_utf8_lossy(&said);
        parse(&said).ok_or_else(|| format!("not ready: {said} {failed}"))
    }
}

impl Answer {
    /// Before there is a queue, servers that have found each other are as good as a leader.
    pub(crate) fn status(self, has_queue: bool) -> NodeStatus {
        let has_leader = match has_queue {
            true => matches!(self.role.as_str(), "leader" | "follower"),
            false => self.up == NODES,
        };
        NodeStatus {
            version: self.version,
            term: self.term,
            has_leader,
            leads: if has_queue { self.role == "leader" } else { has_leader },
        }
    }
}

/// Writes the settings of one server.
pub(crate) fn write_settings(data: &Path, client: SocketAddr) -> io::Result<()> {
    fs::create_dir_all(data)?;
    fs::write(data.join("rabbitmq.conf"), settings(client))
}

/// Where it listens, whom it joins, and that no alarm stops the producers.
fn settings(client: SocketAddr) -> String {
    let mut settings = format!(
        "listeners.tcp.1 = {client}\n\
         cluster_formation.peer_discovery_backend = classic_config\n\
         disk_free_limit.absolute = 1MB\n\
         vm_memory_high_watermark.relative = 0.9\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = info\n"
    );
    for node in 0..NODES {
        let member = format!("cluster_formation.classic_config.nodes.{}", node + 1);
        settings.push_str(&format!("{member} = {}\n", node_name(node)));
    }
    settings
}

fn node_name(node: usize) -> String {
    format!("bench{}@localhost", node + 1)
}

/// `{ok, "3.10.8 3 leader 1"}`.
fn parse(said: &str) -> Option<Answer> {
    let words = said.trim().strip_prefix("{ok, \"")?.strip_suffix("\"}")?;
    let [version, up, role, term] = words.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(Answer {
        version: version.to_owned(),
        up: up.parse().ok()?,
        role: role.to_owned(),
        term: term.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = parse("{ok, \"3.10.8 3 leader 2\"}\n").unwrap();
        let status = answer.clone().status(true);
        assert_eq!((status.version.as_str(), status.term), ("3.10.8", 2));
        assert!(status.leads && status.has_leader);
        let follower = Answer { role: "follower".to_owned(), ..answer };
        assert!(!follower.clone().status(true).leads && follower.status(true).has_leader);
        for said in ["", "{badrpc, nodedown}", "{ok, \"3.10.8 3 leader\"}", "{error, \"x\"}"] {
            assert_eq!(parse(said), None, "{said}");
        }
    }

    #[test]
    fn before_there_is_a_queue_the_cluster_must_be_whole() {
        let answer = |up| Answer { version: String::new(), up, role: "none".to_owned(), term: 0 };
        assert!(!answer(2).status(false).has_leader);
        assert!(answer(3).status(false).has_leader);
        assert!(!answer(3).status(true).has_leader);
    }

    #[test]
    fn every_server_knows_all_members() {
        let settings = settings(SocketAddr::from(([127, 0, 0, 1], 5)));
        assert!(settings.contains("listeners.tcp.1 = 127.0.0.1:5\n"), "{settings}");
        for node in 1..=NODES {
            let member = format!("nodes.{node} = bench{node}@localhost\n");
            assert!(settings.contains(&member), "{settings}");
        }
    }

    #[test]
    fn nothing_of_a_server_lies_outside_of_its_folders() {
        let surroundings = Surroundings {
            erl_call: PathBuf::from("erl_call"),
            home: PathBuf::from("/run/home"),
            cookie: "cookie".to_owned(),
            epmd: SocketAddr::from(([127, 0, 0, 1], 4)),
        };
        let distribution = SocketAddr::from(([127, 0, 0, 1], 6));
        let env = surroundings.node_env(1, Path::new("/run/data"), distribution);
        let of = |name| env.iter().find(|(other, _)| *other == name).map(|(_, value)| &value[..]);
        assert_eq!(of("RABBITMQ_NODENAME"), Some("bench2@localhost"));
        assert_eq!(of("ERL_EPMD_PORT"), Some("4"));
        assert_eq!(of("RABBITMQ_DIST_PORT"), Some("6"));
        assert_eq!(of("HOME"), Some("/run/home"));
        assert!(of("ERL_CRASH_DUMP").unwrap().starts_with("/run/home/"));
        for name in ["RABBITMQ_MNESIA_BASE", "RABBITMQ_LOG_BASE", "RABBITMQ_PID_FILE"] {
            assert!(of(name).unwrap().starts_with("/run/data/"), "{name}");
        }
    }
}
