//! What is cut from what, and what is left of the cluster then.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::net::{End, Network};

/// Who is cut off from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The leader from all other nodes. Clients still reach it, and may take it for the leader.
    LeaderFromPeers,
    /// The leader from everybody.
    LeaderFromAll,
    /// A follower from all other nodes.
    FollowerFromPeers,
    /// A follower from everybody.
    FollowerFromAll,
    /// Every node from every other, so that nobody has a quorum.
    AllFromEachOther,
    /// The leader from one follower, which still hears the others, as they hear the leader.
    LeaderFromOneFollower,
    /// The leader from all clients. It goes on to lead.
    LeaderFromClients,
    /// The leader and the far clients from everybody else, as when a line between two places fails.
    Split,
    /// The far clients from all nodes.
    FarFromAll,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LeaderFromPeers,
        Self::LeaderFromAll,
        Self::FollowerFromPeers,
        Self::FollowerFromAll,
        Self::AllFromEachOther,
        Self::LeaderFromOneFollower,
        Self::LeaderFromClients,
        Self::Split,
        Self::FarFromAll,
    ];

    /// Whether it is the leader that is cut off.
    pub(super) fn is_of_leader(self) -> bool {
        matches!(
            self,
            Self::LeaderFromPeers | Self::LeaderFromAll | Self::AllFromEachOther | Self::Split
        )
    }

    /// Who is cut off, and from whom.
    pub(super) fn cuts(self, nodes: usize, leader: usize, follower: usize) -> Vec<(End, Vec<End>)> {
        let peers: Vec<End> = (0..nodes).map(End::Node).collect();
        let all = [&[End::Clients, End::Far], &peers[..]].concat();
        let others = peers.iter().copied().filter(|node| *node != End::Node(leader)).collect();
        let (leader, follower) = (End::Node(leader), End::Node(follower));
        match self {
            Self::LeaderFromPeers => vec![(leader, peers)],
            Self::LeaderFromAll => vec![(leader, all)],
            Self::FollowerFromPeers => vec![(follower, peers)],
            Self::FollowerFromAll => vec![(follower, all)],
            Self::AllFromEachOther => peers.iter().map(|node| (*node, peers.clone())).collect(),
            Self::LeaderFromOneFollower => vec![(leader, vec![follower])],
            Self::LeaderFromClients => vec![(leader, vec![End::Clients, End::Far])],
            Self::Split => {
                let rest = [&[End::Clients], &peers[..]].concat();
                vec![(leader, rest), (End::Far, others)]
            }
            Self::FarFromAll => vec![(End::Far, peers)],
        }
    }
}

/// Deals kinds so that each comes once before any comes again.
pub(super) struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    pub(super) fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.to_vec(), left: Vec::new() }
    }

    pub(super) fn deal(&mut self, random: &mut StdRng) -> Kind {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        self.left.swap_remove(random.random_range(0..self.left.len()))
    }
}

/// What is left of the cluster, as far as links decide it.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    /// Those with links to so many that they could have a quorum.
    pub(super) can_lead: Vec<usize>,
    /// Those that clients reach, far ones aside, and that could lead or have a link to one that
    /// could.
    pub(super) can_answer: Vec<usize>,
    /// Those that clients reach and that have no link to any other node.
    pub(super) alone: Vec<usize>,
}

impl Rest {
    /// What is left of a cluster of so many nodes.
    pub(super) fn of(network: &Network, nodes: usize) -> Self {
        let all = || 0..nodes;
        let heard = |a: usize| {
            let is_heard = move |b: &usize| network.is_open(End::Node(a), End::Node(*b));
            (0..nodes).filter(is_heard).collect::<Vec<usize>>()
        };
        let reached = |node: &usize| network.is_open(End::Clients, End::Node(*node));
        let can_lead: Vec<usize> = all().filter(|node| 2 * heard(*node).len() > nodes).collect();
        let can_answer = |node: &usize| heard(*node).iter().any(|other| can_lead.contains(other));
        Self {
            can_answer: all().filter(|node| reached(node) && can_answer(node)).collect(),
            alone: all().filter(|node| reached(node) && heard(*node).len() == 1).collect(),
            can_lead,
        }
    }
    /// Whether this leader has lost neither its quorum nor its clients.
    pub(super) fn is_undisturbed(&self, leader: usize) -> bool {
        self.can_lead.contains(&leader) && self.can_answer.contains(&leader)
    }
}
