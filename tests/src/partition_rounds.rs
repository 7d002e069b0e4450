//! Real nodes that are cut off from each other and from clients in the middle of traffic.
//!
//! A round: traffic flows, links are cut, traffic goes on or must not, what the nodes say is held
//! against what is left of the cluster, the links are mended, every node catches up. In some rounds
//! others are cut off before the first are back. While the cut lasts:
//!
//! - a node that is alone grants nothing and answers no linearizable read, also if it led, and says
//!   so;
//! - if somebody can have a quorum and is reached, calls are answered after an election, and so are
//!   streams; and without any election if the leader has lost neither quorum nor clients;
//! - if nobody can have a quorum, nobody is told that anything was done.
//!
//! Sessions that live for longer than any outage are not lost, those that do not are lost without
//! two clients that believe in one lock, and a read of a cache is never stale. At the end each
//! message is accounted for, the states of all nodes are equal, and nothing is left of any client.

mod asker;
mod cuts;
mod summary;
mod users;

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use cuts::Kind;
pub use summary::Summary;

use crate::net::{Link, Manner, Network};
use crate::observe::{eventually, leader, same_state, statuses};
use crate::processes::ProcessCluster;
use crate::queue_traffic::QueueTraffic;
use crate::traffic::{Load, Traffic};
use asker::{Asker, Grant};
use cuts::{Deck, Rest};
use users::{Done, Users};

/// Longer than all outages of a round together, so that no session ends for want of a renewal.
const TTL: Duration = Duration::from_secs(20);

/// Acknowledgements that must come before and after each cut.
const WORK_MIN: u64 = 100;

/// Messages that must have been done with before and after each cut.
const ACKS_MIN: u64 = 30;

/// What clients of short sessions must have done of everything before and after each cut.
const SHORT_MIN: u64 = 5;

/// Acknowledgements that must come during a cut that leaves the leader a quorum and its clients, if
/// it is no shorter than this.
const UNDISTURBED_MIN: u64 = 20;
const UNDISTURBED_FROM: Duration = Duration::from_secs(2);

/// What was acknowledged before a cut has come to its client after so long.
const GRACE: Duration = Duration::from_millis(500);

/// So long after a cut those who can have a quorum have a leader, and answer.
pub const GOES_ON_WITHIN: Duration = Duration::from_secs(4);

/// So long after links are mended every node is where the leader was, and every client goes on.
/// One that was cut off needs five seconds to notice.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(10);
const WORKS_WITHIN: Duration = Duration::from_secs(15);

/// Elections in one round in which the leader could always have had a quorum. A machine that is
/// too busy brings some; a node that cannot win and stands again and again brings many.
const NEEDLESS_MAX: u64 = 2;

/// How long a cut lasts, in milliseconds: shorter than an election, about as long, and longer.
const LASTS_MS: [std::ops::Range<u64>; 3] = [300..1_000, 1_000..4_100, 4_100..6_000];

/// The parts of a round in which others are cut off before the first are back.
const FLAPPING_MS: std::ops::Range<u64> = 300..2_000;

/// The cut comes after so long at most, so that it hits any phase of a request.
const AIM_MS_MAX: u64 = 30;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many rounds.
    pub rounds: usize,
    /// What kinds of cuts there are. Each comes before any comes again.
    pub kinds: Vec<Kind>,
    /// How long each cut lasts, and none comes before the last is over. Else chance decides.
    pub lasts: Option<Duration>,
    /// How many nodes.
    pub nodes: usize,
    /// The traffic meanwhile.
    pub load: Load,
}

/// Runs the rounds with this binary, which must understand `serve`, and tells what goes on. This
/// must be called within [`apart`](crate::net::apart).
///
/// # Errors
/// A promise was broken, or too little was done to say so.
pub async fn run(
    binary: &Path,
    plan: Plan,
    mut tell: impl FnMut(String),
) -> Result<Summary, String> {
    let mut rounds = Rounds::start(binary, &plan).await?;
    let mut deck = Deck::new(&plan.kinds);
    for round in 1..=plan.rounds {
        let kind = deck.deal(&mut rounds.random);
        let told = rounds.round(kind, &plan).await;
        let told = told.map_err(|why| format!("round {round}, {kind:?}: {why}"))?;
        tell(format!("round {round}: {told}"));
    }
    let summary = rounds.finish().await?;
    if plan.rounds >= plan.kinds.len() {
        let missing = plan.kinds.iter().find(|kind| !summary.kinds.contains_key(kind));
        if let Some(kind) = missing {
            return Err(format!("no cut was {kind:?}"));
        }
    }
    Ok(summary)
}

struct Rounds {
    cluster: ProcessCluster,
    network: Network,
    endpoints: Vec<String>,
    traffic: Traffic,
    queue: QueueTraffic,
    users: Users,
    asker: Asker,
    /// Who led before the last cut, if anybody did.
    leader: Option<usize>,
    /// Who led when the round began, and whether he could have had a quorum ever since.
    led: usize,
    is_quorum_kept: bool,
    random: StdRng,
    summary: Summary,
}

/// What was acknowledged by some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    locks: u64,
    messages: u64,
    short_grants: u64,
    writes: u64,
}

impl Rounds {
    async fn start(binary: &Path, plan: &Plan) -> Result<Self, String> {
        let (nodes, load) = (plan.nodes, plan.load);
        let network = Network::build(nodes)?;
        let cluster = ProcessCluster::start_in(&network, binary, nodes).await;
        let endpoints = cluster.endpoints();
        let builder = cluster.client().session_ttl(TTL);
        let traffic = Traffic::start(&builder, load).await;
        let queue = QueueTraffic::start(&builder, load.seed).await;
        let users = Users::start(&builder, &network.far(), &traffic.beliefs, load.seed).await;
        let asker = Asker::start(&endpoints[0]).await?;
        let (random, summary) = (StdRng::seed_from_u64(load.seed), Summary::default());
        Ok(Self {
            cluster,
            network,
            endpoints,
            traffic,
            queue,
            users,
            asker,
            leader: None,
            led: 0,
            is_quorum_kept: true,
            random,
            summary,
        })
    }

    /// Answers in words what was done.
    async fn round(&mut self, kind: Kind, plan: &Plan) -> Result<String, String> {
        self.work().await?;
        self.traffic.longest_wait();
        let (leads, before) = leader(&self.endpoints).await;
        self.traffic.keep_anew().await?;
        sleep(self.ms(0..AIM_MS_MAX)).await;
        let flaps = plan.lasts.is_none() && self.random.random_range(0..3) == 0;
        let (manner, first) = self.cut(kind).await?;
        let mut words = format!("{kind:?} {manner:?}");
        (self.led, self.is_quorum_kept) = (leads, true);
        let mut grant = None;
        if flaps {
            let lasts = self.ms(FLAPPING_MS);
            self.last(lasts, kind).await?;
            let next = plan.kinds[self.random.random_range(0..plan.kinds.len())];
            let (manner, second) = self.cut(next).await?;
            words += &format!(", then {next:?} {manner:?}");
            let lasts = self.ms(FLAPPING_MS);
            self.last(lasts, next).await?;
            self.network.heal(&first)?;
            let lasts = self.ms(FLAPPING_MS);
            self.last(lasts, next).await?;
            self.network.heal(&second)?;
        } else {
            let range = LASTS_MS[self.random.random_range(0..LASTS_MS.len())].clone();
            let lasts = plan.lasts.unwrap_or(self.ms(range));
            words += &format!(" for {lasts:.1?}");
            grant = self.last(lasts, kind).await?;
            self.network.heal(&first)?;
        }
        let [caught_up, works] = self.recover().await?;
        if let Some(grant) = &grant {
            self.asker.confirm(&self.endpoints[0], grant).await?;
        }
        let found = self.traffic.compare().await;
        let violations = self.traffic.beliefs.violations();
        if !violations.is_empty() {
            return Err(violations.join("\n"));
        }
        self.summary.confirmed += found;
        let (_, after) = leader(&self.endpoints).await;
        let elections = after.term - before.term;
        if self.is_quorum_kept {
            self.summary.needless_elections += elections;
            if elections > NEEDLESS_MAX {
                return Err(format!("{words}: {elections} elections though there was a leader"));
            }
        }
        let gap =
            grant.map_or(String::new(), |grant| format!("answered after {:.1?}, ", grant.after));
        Ok(format!(
            "{words}: {gap}{elections} elections, caught up in {caught_up:.1?}, all clients went \
             on in {works:.1?}, longest wait {:.1?}, {found} grants found again",
            self.traffic.longest_wait()
        ))
    }

    async fn work(&self) -> Result<(), String> {
        self.traffic.work(WORK_MIN).await?;
        self.queue.work(ACKS_MIN).await?;
        self.users.work(SHORT_MIN).await
    }

    /// Cuts the links that this kind means at this moment.
    async fn cut(&mut self, kind: Kind) -> Result<(Manner, Vec<Link>), String> {
        let nodes = self.endpoints.len();
        let any = self.random.random_range(0..nodes);
        // After an earlier cut there may be none.
        let found = timeout(GRACE, leader(&self.endpoints)).await;
        self.leader = found.ok().map(|(leader, _)| leader);
        let leader = self.leader.unwrap_or(any);
        let follower = (leader + self.random.random_range(1..nodes)) % nodes;
        let manner = Manner::ALL[self.random.random_range(0..Manner::ALL.len())];
        let mut links = Vec::new();
        for (off, from) in kind.cuts(nodes, leader, follower) {
            links.extend(self.network.cut(off, &from, manner)?);
        }
        *self.summary.kinds.entry(kind).or_default() += 1;
        Ok((manner, links))
    }

    /// Lets the cut last, and demands what must be. Answers the first grant that was had during it.
    async fn last(&mut self, lasts: Duration, kind: Kind) -> Result<Option<Grant>, String> {
        let end = Instant::now() + lasts;
        let rest = Rest::of(&self.network, self.endpoints.len());
        self.is_quorum_kept &= rest.can_lead.contains(&self.led);
        let endpoints = |nodes: &[usize]| -> Vec<String> {
            nodes.iter().map(|node| self.endpoints[*node].clone()).collect()
        };
        let asked = self.asker.interrogate(endpoints(&rest.alone), &self.traffic.beliefs);
        let (asker, others) = (self.asker.clone(), endpoints(&rest.can_answer));
        let granting = tokio::spawn(async move {
            match others.is_empty() {
                true => None,
                false => timeout(lasts, asker.first_grant(&others)).await.ok(),
            }
        });
        sleep(lasts.min(GRACE)).await;
        let before = self.counts();
        sleep_until(end).await;
        let after = self.counts();
        let refused = asked.end();
        self.summary.refused += refused.iter().sum::<u64>();
        let grant = granting.await.map_err(|e| e.to_string())?;
        if let Some(grant) = &grant {
            let longest = &mut self.summary.longest_gaps[usize::from(!kind.is_of_leader())];
            *longest = grant.after.max(*longest);
        }
        if rest.can_lead.is_empty() && before != after {
            return Err(format!("without a quorum clients went on from {before:?} to {after:?}"));
        }
        if lasts >= GOES_ON_WITHIN && !rest.alone.is_empty() && refused.contains(&0) {
            let why = "who is alone lets others wait";
            return Err(format!("{why}: {refused:?} were refused in {lasts:?}, {rest:?}"));
        }
        self.demand_work(&rest, lasts, grant.as_ref(), [before, after])?;
        Ok(grant)
    }

    /// Whoever can go on during a cut of this length must have done so.
    fn demand_work(
        &mut self,
        rest: &Rest,
        lasts: Duration,
        grant: Option<&Grant>,
        [before, after]: [Counts; 2],
    ) -> Result<(), String> {
        let keeps_leader = self.leader.is_some_and(|leader| rest.is_undisturbed(leader));
        let have_worked =
            after.locks >= before.locks + UNDISTURBED_MIN && after.messages > before.messages;
        if lasts >= UNDISTURBED_FROM && keeps_leader && !have_worked {
            return Err(format!(
                "clients stopped though the leader was there: {before:?} {after:?}"
            ));
        }
        if lasts < GOES_ON_WITHIN || rest.can_answer.is_empty() {
            return Ok(());
        }
        self.summary.went_on += 1;
        if grant.is_none_or(|grant| grant.after > GOES_ON_WITHIN) {
            return Err(format!("nothing was granted in {lasts:?}, to be had of {rest:?}"));
        }
        // Also where clients reach the leader only through another node.
        if after.short_grants == before.short_grants {
            return Err(format!("no short session went on in {lasts:?}, {rest:?}: {before:?}"));
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        let Done { grants, writes, .. } = self.users.done();
        Counts {
            locks: self.traffic.tally().acknowledged(),
            messages: self.queue.acked(),
            short_grants: grants,
            writes,
        }
    }

    /// All links are open. Answers how long it took to catch up, and for clients to go on.
    async fn recover(&mut self) -> Result<[Duration; 2], String> {
        let begun = Instant::now();
        let catching_up = async {
            for index in 0..self.endpoints.len() {
                self.cluster.catch_up(index).await;
            }
        };
        let caught_up = timeout(CAUGHT_UP_WITHIN, catching_up).await;
        caught_up.map_err(|_| format!("not all caught up within {CAUGHT_UP_WITHIN:?}"))?;
        let caught_up = begun.elapsed();
        let worked = timeout(WORKS_WITHIN, self.work()).await;
        worked.map_err(|_| format!("not all clients went on within {WORKS_WITHIN:?}"))??;
        let recovery = [caught_up, begun.elapsed()];
        for (longest, this) in self.summary.longest_recovery.iter_mut().zip(recovery) {
            *longest = this.max(*longest);
        }
        Ok(recovery)
    }

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }

    async fn finish(self) -> Result<Summary, String> {
        let mut summary = self.summary;
        summary.acked = self.queue.finish().await?;
        summary.lost = self.users.finish().await?.lost;
        self.asker.finish(&self.endpoints[0]).await?;
        summary.acknowledged = self.traffic.finish().await?.acknowledged();
        // All clients have ended their sessions, or these end when they are not renewed.
        eventually("nothing is left of any client", || async {
            let statuses = statuses(&self.endpoints, false).await;
            statuses.iter().flatten().filter(|s| s.sessions + s.locks == 0).count()
                == statuses.len()
        })
        .await;
        summary.state_hash = same_state(&self.endpoints).await.state_hash;
        drop(self.cluster);
        Ok(summary)
    }
}
