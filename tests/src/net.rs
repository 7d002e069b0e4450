//! Networks that can be cut: every node in a network namespace of its own, and the clients in two.
//!
//! There is a link from each node to each other one, for peers, and one from each node to the
//! clients in either place. So a node can lose some of its peers, or all, and still be reached by
//! clients, or the other way round. A link is a pair of virtual interfaces, one in each namespace.
//!
//! Nothing of it has a name outside of this process and no way leads out of it, so any addresses
//! will do, nothing of the machine is changed, and runs do not get in each other's way. A namespace
//! lives as long as somebody is in it or has it open, so all goes away with this process, however
//! that ends. It takes root and `ip`; [`possible`] says what is missing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::Arc;

use holdfast_client::Dialer;
use tokio::net::TcpSocket;

const CLIENT_PORT: u16 = 7400;
const PEER_PORT: u16 = 7500;

/// Where the clients are. The networks are from the range that is set aside for tests of networks.
const CLIENTS: &str = "198.18.0.254";
const FAR: &str = "198.18.0.253";

/// The address of no interface: whoever sends to it sends to nobody.
const NOBODY: &str = "02:00:00:00:00:00";

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The clients that are where the tests are.
    Clients,
    /// The clients that are elsewhere: see [`Namespace::dialer`].
    Far,
    /// The node at this place.
    Node(usize),
}

/// A link, from its smaller end to its larger one.
pub type Link = (End, End);

/// How a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The interface of the one who is cut off is taken down. He is told that there is no way, and
    /// the other is not.
    Down,
    /// What either sends is lost, and nobody is told.
    Lost,
    /// What the one who is cut off sends is lost, and he still hears the other.
    Mute,
    /// What is sent to the one who is cut off is lost, and the other still hears him.
    Deaf,
}

impl Manner {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Down, Self::Lost, Self::Mute, Self::Deaf];
}

/// A network namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<File>);

impl Namespace {
    fn of_this_thread() -> io::Result<Self> {
        Ok(Self(Arc::new(File::open("/proc/thread-self/ns/net")?)))
    }

    /// A new one, in which nobody is.
    fn create() -> Result<Self, String> {
        apart(Self::of_this_thread)?.map_err(|e| format!("a new network cannot be opened: {e}"))
    }

    /// Does `work` in a thread that is in it.
    ///
    /// # Errors
    /// It cannot be entered.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        in_a_thread(|| {
            checked(enter(self.0.as_raw_fd()))?;
            Ok(work())
        })
    }

    /// Opens connections from there.
    pub fn dialer(&self) -> Dialer {
        let namespace = self.clone();
        Dialer::new(move |address: String| {
            // A socket stays in the network in which it was made.
            let socket = namespace.within(TcpSocket::new_v4);
            async move {
                let address = address.parse().map_err(io::Error::other)?;
                socket.flatten()?.connect(address).await
            }
        })
    }

    /// Lets a program start in it.
    pub fn admit(&self, command: &mut Command) {
        let namespace = self.0.clone();
        let enter = move || checked(enter(namespace.as_raw_fd()));
        // SAFETY: between fork and exec this makes one system call and touches no memory.
        unsafe {
            command.pre_exec(enter);
        }
    }

    /// Where another process of this machine finds it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// Does `work` in a thread that is in a new network namespace, where nothing is yet. Threads and
/// processes that it starts are in there too.
///
/// # Errors
/// There cannot be a new namespace.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    in_a_thread(|| {
        checked(leave()).map_err(|e| {
            format!(
                "a network of its own cannot be had ({e}): run this as root, with CAP_SYS_ADMIN"
            )
        })?;
        Ok(work())
    })
}

/// A namespace is of a thread, so one is spent on whoever enters another.
fn in_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Whether there can be such networks here.
///
/// # Errors
/// What is missing, and what to do.
pub fn possible() -> Result<(), String> {
    apart(|| Network::build(1).map(drop))?
}

/// The links of one cluster, and which of them are cut.
pub struct Network {
    clients: Namespace,
    far: Namespace,
    nodes: Vec<Namespace>,
    cut: BTreeMap<Link, (End, Manner)>,
}

impl Network {
    /// Builds the links of so many nodes. The clients that are not far are whoever is in the
    /// namespace of this thread, which should be one of its own: see [`apart`].
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub fn build(nodes: usize) -> Result<Self, String> {
        let clients = Namespace::of_this_thread().map_err(|e| e.to_string())?;
        let nodes: Result<Vec<_>, String> = (0..nodes).map(|_| Namespace::create()).collect();
        let far = Namespace::create()?;
        let network = Self { clients, far, nodes: nodes?, cut: BTreeMap::new() };
        for end in network.ends() {
            // A node has its addresses also while all its links are down.
            let own = [End::Clients, End::Node(0)].map(|by| address(end, by));
            let own = own.map(|own| format!("address replace {own}/32 dev lo\n"));
            network.ip(end, &format!("link set lo up\n{}", own.concat()))?;
        }
        for link in network.links() {
            network.connect(link)?;
        }
        Ok(network)
    }

    /// Where clients reach a node.
    pub fn client_addr(&self, node: usize) -> String {
        format!("{}:{CLIENT_PORT}", address(End::Node(node), End::Clients))
    }

    /// Where peers reach a node.
    pub fn peer_addr(&self, node: usize) -> String {
        // To all of them alike.
        format!("{}:{PEER_PORT}", address(End::Node(node), End::Node(0)))
    }

    /// Where a node is to run.
    pub fn namespace(&self, node: usize) -> Namespace {
        self.nodes[node].clone()
    }

    /// Where the far clients are.
    pub fn far(&self) -> Namespace {
        self.far.clone()
    }

    /// Whether what these two send to each other arrives. Each always hears itself.
    pub fn is_open(&self, a: End, b: End) -> bool {
        !self.cut.contains_key(&link(a, b))
    }

    /// Cuts `off` from some others, as far as it is not. Answers which links that were.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn cut(&mut self, off: End, from: &[End], how: Manner) -> Result<Vec<Link>, String> {
        let open = from.iter().filter(|other| **other != off && self.is_open(off, **other));
        let others: Vec<End> = open.copied().collect();
        let lose = |end: End, others: &[End]| {
            let lost = others.iter().map(|other| {
                let (address, name) = (address(*other, end), interface(*other));
                format!("neighbour replace {address} lladdr {NOBODY} nud permanent dev {name}\n")
            });
            lost.collect::<String>()
        };
        if how == Manner::Down {
            let down = others.iter().map(|other| format!("link set {} down\n", interface(*other)));
            self.ip(off, &down.collect::<String>())?;
        }
        if matches!(how, Manner::Lost | Manner::Mute) {
            self.ip(off, &lose(off, &others))?;
        }
        if matches!(how, Manner::Lost | Manner::Deaf) {
            others.iter().try_for_each(|other| self.ip(*other, &lose(*other, &[off])))?;
        }
        let links: Vec<Link> = others.iter().map(|other| link(off, *other)).collect();
        self.cut.extend(links.iter().map(|link| (*link, (off, how))));
        Ok(links)
    }

    /// Mends these links.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn heal(&mut self, links: &[Link]) -> Result<(), String> {
        for link in links {
            let Some((off, how)) = self.cut.remove(link) else { continue };
            let other = if link.0 == off { link.1 } else { link.0 };
            let find = |end: End, other: End| {
                let (address, name) = (address(other, end), interface(other));
                format!("neighbour del {address} dev {name}\n")
            };
            if how == Manner::Down {
                self.ip(off, &format!("link set {} up\n", interface(other)))?;
            }
            if matches!(how, Manner::Lost | Manner::Mute) {
                self.ip(off, &find(off, other))?;
            }
            if matches!(how, Manner::Lost | Manner::Deaf) {
                self.ip(other, &find(other, off))?;
            }
        }
        Ok(())
    }

    fn ends(&self) -> impl Iterator<Item = End> + use<> {
        [End::Clients, End::Far].into_iter().chain((0..self.nodes.len()).map(End::Node))
    }

    fn links(&self) -> Vec<Link> {
        let is_link = |a: End, b: End| a < b && matches!(b, End::Node(_));
        let larger = |a: End| self.ends().filter(move |b| is_link(a, *b)).map(move |b| (a, b));
        self.ends().flat_map(larger).collect()
    }

    fn connect(&self, (a, b): Link) -> Result<(), String> {
        let (to_a, to_b) = (interface(a), interface(b));
        let there = self.namespace_of(b).path();
        self.ip(a, &format!("link add {to_b} type veth peer name {to_a} netns {there}\n"))?;
        for (here, there) in [(a, b), (b, a)] {
            let (own, peer) = (address(here, there), address(there, here));
            let name = interface(there);
            let lines =
                format!("address add {own} peer {peer}/32 dev {name}\nlink set {name} up\n");
            self.ip(here, &lines)?;
        }
        Ok(())
    }

    fn namespace_of(&self, end: End) -> &Namespace {
        match end {
            End::Clients => &self.clients,
            End::Far => &self.far,
            End::Node(node) => &self.nodes[node],
        }
    }

    /// Has `ip` do all this at one end.
    fn ip(&self, end: End, lines: &str) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args(["-batch", "-"]).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.namespace_of(end).admit(&mut command);
        let mut child = command.spawn().map_err(|e| {
            format!("`ip` cannot be run ({e}): install it with `apt-get install iproute2`")
        })?;
        if let Some(mut input) = child.stdin.take() {
            // If it has ended already, it says why.
            let _ = input.write_all(lines.as_bytes());
        }
        let output = child.wait_with_output().map_err(|e| format!("`ip` is gone: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`ip` does not do {lines:?}, which takes root and virtual interfaces: {said}"))
    }
}

fn link(a: End, b: End) -> Link {
    (a.min(b), a.max(b))
}

/// How one end calls its interface to another.
fn interface(to: End) -> String {
    match to {
        End::Clients => "to-clients".into(),
        End::Far => "to-far".into(),
        End::Node(node) => format!("to-{}", node + 1),
    }
}

/// Where `end` is reached by `by`.
fn address(end: End, by: End) -> String {
    match (end, by) {
        (End::Clients, _) => CLIENTS.into(),
        (End::Far, _) => FAR.into(),
        (End::Node(node), End::Clients | End::Far) => format!("198.18.0.{}", node + 1),
        (End::Node(node), End::Node(_)) => format!("198.18.1.{}", node + 1),
    }
}

fn leave() -> libc::c_int {
    // SAFETY: it takes this thread out of a namespace, and no memory is touched.
    unsafe { libc::unshare(libc::CLONE_NEWNET) }
}

fn enter(namespace: RawFd) -> libc::c_int {
    // SAFETY: it takes this thread into another namespace, and no memory is touched.
    unsafe { libc::setns(namespace, libc::CLONE_NEWNET) }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
