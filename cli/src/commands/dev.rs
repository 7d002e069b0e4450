//! `holdfast dev`: a whole cluster in this process, on loopback, to try things out.

use std::ffi::OsStr;
use std::fs;
use std::future::poll_fn;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use holdfast_client::status_of;
use holdfast_server::storage::identity;
use holdfast_server::{MemberSettings, Node, Settings};
use tokio::task::JoinSet;

use crate::args::DevArgs;
use crate::counted::{agreed, counted};
use crate::failure::{Failure, OK};
use crate::output;
use crate::signals::Endings;

const DEFAULT_NODES: u16 = 3;
const DEFAULT_PORT: u16 = 7401;
/// Peer ports follow client ports at this distance.
const PEER_PORT_OFFSET: u16 = 100;
/// How long the cluster may take to agree on a leader.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);
/// Remembers the shape of the cluster beside its data.
pub(super) const SHAPE_FILE: &str = "dev.toml";

/// How many nodes, and where. The members' log knows both, so they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    nodes: u16,
    port: u16,
}

/// Runs the cluster until a signal asks it to end.
pub(crate) async fn run(args: &DevArgs, program: &OsStr) -> Result<u8, Failure> {
    let mut endings = Endings::listen()?;
    let begin = Instant::now();
    let shape = shape_of(args)?;
    check_ports(shape)?;
    let nodes = tokio::select! {
        nodes = start(shape, &args.data_dir) => nodes?,
        _ = endings.next() => return Ok(OK),
    };
    let outcome = tokio::select! {
        ready = ready(shape) => match ready {
            Ok(()) => {
                output::print(welcome(shape, args, program, begin.elapsed()))?;
                tokio::select! {
                    message = first_stop(&nodes) => Err(Failure::failed(message)),
                    _ = endings.next() => Ok(OK),
                }
            }
            Err(failure) => Err(failure),
        },
        message = first_stop(&nodes) => Err(Failure::failed(message)),
        _ = endings.next() => Ok(OK),
    };
    tokio::select! {
        () = shut_down(nodes) => outcome,
        again = endings.next() => Ok(again.exit_code()),
    }
}

/// What was asked for, what the data remember, or the defaults, in this order. What was asked for
/// must not contradict what the data remember.
fn shape_of(args: &DevArgs) -> Result<Shape, Failure> {
    let path = args.data_dir.join(SHAPE_FILE);
    let remembered = match fs::read_to_string(&path) {
        Ok(text) => Some(read_shape(&text).ok_or_else(|| {
            Failure::failed(format!(
                "{} cannot be understood; remove {} to start afresh, or name another --data-dir",
                path.display(),
                args.data_dir.display()
            ))
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(cannot("read", &path, &error)),
    };
    let Some(kept) = remembered else {
        if args.data_dir.join(identity::NAME).exists() {
            return Err(Failure::usage(format!(
                "{} is the data directory of a node of `holdfast serve`; start that, or name \
                 another --data-dir",
                args.data_dir.display()
            )));
        }
        let shape = Shape {
            nodes: args.nodes.unwrap_or(DEFAULT_NODES),
            port: args.port.unwrap_or(DEFAULT_PORT),
        };
        return Ok(shape);
    };
    let nodes = args.nodes.unwrap_or(kept.nodes);
    let port = args.port.unwrap_or(kept.port);
    if (Shape { nodes, port }) != kept {
        return Err(Failure::usage(format!(
            "the data in {} belong to {} from port {} on; leave out --nodes and --port to go \
             on with them, or name another --data-dir",
            args.data_dir.display(),
            counted(kept.nodes, "node"),
            kept.port
        )));
    }
    Ok(kept)
}

fn read_shape(text: &str) -> Option<Shape> {
    let table: toml::Table = text.parse().ok()?;
    let number = |key: &str| u16::try_from(table.get(key)?.as_integer()?).ok();
    Some(Shape { nodes: number("nodes")?, port: number("port")? })
}

fn write_shape(shape: Shape, data_dir: &Path) -> Result<(), Failure> {
    let path = data_dir.join(SHAPE_FILE);
    let text = format!(
        "# The cluster whose data are kept here.\nnodes = {}\nport = {}\n",
        shape.nodes, shape.port
    );
    fs::create_dir_all(data_dir)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| cannot("write", &path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "cannot {what} {}: {error}; name another directory with --data-dir",
        path.display()
    ))
}

fn check_ports(shape: Shape) -> Result<(), Failure> {
    let clients = shape.port..shape.port + shape.nodes;
    let peers = clients.clone().map(|port| port + PEER_PORT_OFFSET);
    for port in clients.clone().chain(peers) {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Err(Failure::failed(format!(
                "port {port} on 127.0.0.1 cannot be used: {error}; stop what uses it (another \
                 `holdfast dev`?), or choose other ports with --port and --data-dir"
            )));
        }
    }
    Ok(())
}

fn members(shape: Shape) -> Vec<MemberSettings> {
    (0..shape.nodes)
        .map(|at| MemberSettings {
            node_id: u64::from(at) + 1,
            client_addr: format!("127.0.0.1:{}", shape.port + at),
            peer_addr: format!("127.0.0.1:{}", shape.port + at + PEER_PORT_OFFSET),
        })
        .collect()
}

/// Starts all nodes at the same time. If one cannot start, the others are stopped.
async fn start(shape: Shape, data_dir: &Path) -> Result<Vec<Node>, Failure> {
    write_shape(shape, data_dir)?;
    let members = members(shape);
    let mut starting = JoinSet::new();
    for member in &members {
        starting.spawn(Node::start(Settings {
            node_id: member.node_id,
            cluster: "dev".into(),
            data_dir: data_dir.join(format!("node-{}", member.node_id)),
            client_listen: member.client_addr.clone(),
            peer_listen: member.peer_addr.clone(),
            members: members.clone(),
            // Temporary directories are small at times, and nothing of worth is kept here.
            disk_reserve_bytes: 16 << 20,
            ..Settings::default()
        }));
    }
    let mut nodes = Vec::new();
    let mut failed = None;
    while let Some(started) = starting.join_next().await {
        match started {
            Ok(Ok(node)) => nodes.push(node),
            Ok(Err(error)) => failed = Some(Failure::failed(error)),
            Err(error) => {
                let message = format!("a node failed to start: {error}; this is a defect");
                failed = Some(Failure::failed(message));
            }
        }
    }
    match failed {
        None => Ok(nodes),
        Some(failure) => {
            shut_down(nodes).await;
            Err(failure)
        }
    }
}

async fn shut_down(nodes: Vec<Node>) {
    let mut stopping = JoinSet::new();
    for node in nodes {
        stopping.spawn(async move {
            node.shutdown().await;
        });
    }
    while stopping.join_next().await.is_some() {}
}

/// Waits until every node knows the leader.
async fn ready(shape: Shape) -> Result<(), Failure> {
    let all_know = async {
        for member in members(shape) {
            loop {
                let status = status_of(&member.client_addr, READY_TIMEOUT, false).await;
                if status.is_ok_and(|status| status.leader_id != 0) {
                    break;
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
    };
    tokio::time::timeout(READY_TIMEOUT, all_know).await.map_err(|_| {
        Failure::failed(format!(
            "no leader within {} s; run again with --log info to see why",
            READY_TIMEOUT.as_secs()
        ))
    })
}

/// Waits until a node stops by itself, and says why.
async fn first_stop(nodes: &[Node]) -> String {
    type Stop<'a> = Pin<Box<dyn Future<Output = String> + Send + 'a>>;
    let mut stops: Vec<Stop<'_>> =
        nodes.iter().map(|node| Box::pin(node.stopped()) as Stop<'_>).collect();
    let message = poll_fn(|context| {
        for stop in &mut stops {
            if let Poll::Ready(message) = stop.as_mut().poll(context) {
                return Poll::Ready(message);
            }
        }
        Poll::Pending
    });
    message.await
}

fn welcome(shape: Shape, args: &DevArgs, program: &OsStr, took: Duration) -> String {
    let program = invocation(program);
    let members = members(shape);
    let mut text = format!(
        "holdfast dev: {} {} ready after {} ms, data in {}\n\n",
        counted(shape.nodes, "node"),
        agreed(shape.nodes, "is", "are"),
        took.as_millis(),
        args.data_dir.display()
    );
    for member in &members {
        text += &format!("  node {}  {}\n", member.node_id, member.client_addr);
    }
    text += "\nTry in another terminal:\n\n";
    // Without the flag the client commands go to the first three default ports.
    let mut prefix = String::new();
    if shape.port != DEFAULT_PORT {
        let endpoints: Vec<_> = members.iter().map(|m| m.client_addr.as_str()).collect();
        prefix = format!("  export HOLDFAST_ENDPOINTS={}\n", endpoints.join(","));
    }
    text += &prefix;
    text += &format!("  {program} status\n  {program} lock demo -- echo hi\n\n");
    text + "Ctrl-C stops the cluster and keeps the data.\n"
}

/// How to call this program again from the same directory.
fn invocation(program: &OsStr) -> String {
    let program = Path::new(program);
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_path_buf));
    match relative {
        Some(relative) => format!("./{}", relative.display()),
        None if program.as_os_str().is_empty() => "holdfast".into(),
        None => program.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Parsed, parse};

    fn dev_args(line: &str) -> DevArgs {
        let parsed = parse(line.split(' ').map(Into::into).collect());
        let Ok(Parsed::Run(command)) = parsed else { panic!("{line}: {parsed:?}") };
        match *command {
            Command::Dev(args) => args,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_shape_is_remembered_and_not_contradicted() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("data");
        let shape = |flags: &str| {
            shape_of(&dev_args(&format!("holdfast dev --data-dir {} {flags}", data_dir.display())))
        };
        assert_eq!(shape("--nodes 3"), Ok(Shape { nodes: 3, port: 7401 }));
        let kept = Shape { nodes: 5, port: 9000 };
        write_shape(kept, &data_dir).unwrap();
        assert_eq!(shape("--log warn"), Ok(kept));
        assert_eq!(shape("--port 9000"), Ok(kept));
        let failure = shape("--nodes 3").unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.to_string().contains("5 nodes from port 9000"), "{failure}");
        fs::write(data_dir.join(SHAPE_FILE), "nodes = 70000").unwrap();
        assert!(shape("--nodes 3").is_err());
        fs::remove_file(data_dir.join(SHAPE_FILE)).unwrap();
        fs::write(data_dir.join(identity::NAME), "").unwrap();
        let failure = shape("--nodes 3").unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.to_string().contains("`holdfast serve`"), "{failure}");
    }

    #[test]
    fn a_busy_port_is_named_with_the_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port().min(65_400);
        if taken.local_addr().unwrap().port() == port {
            let message = check_ports(Shape { nodes: 1, port }).unwrap_err().to_string();
            assert!(message.contains(&format!("port {port}")) && message.contains("--port"));
        }
    }

    #[test]
    fn the_welcome_shows_commands_that_work_from_here() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(invocation(here.join("target/holdfast").as_os_str()), "./target/holdfast");
        assert_eq!(invocation(OsStr::new("target/holdfast")), "target/holdfast");
        assert_eq!(invocation(OsStr::new("holdfast")), "holdfast");
        let shape = Shape { nodes: 1, port: 9000 };
        let args = dev_args("holdfast dev");
        let text = welcome(shape, &args, OsStr::new("holdfast"), Duration::from_millis(5));
        assert!(text.contains("HOLDFAST_ENDPOINTS=127.0.0.1:9000\n"), "{text}");
    }
}
