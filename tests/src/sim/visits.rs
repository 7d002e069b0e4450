//! The ways in which a client asks for locks, holds them a little, and gives them back or not.

use futures::future::join_all;
use holdfast_client::{
    Client, DeadlockPolicy, Error, LockGuard, LockSpec, PermitGuard, ReadGuard, WriteGuard,
};
use rand::RngExt;

use super::ledger::{Belief, Held};
use super::refusals::Act;
use super::workload::{POOL, POOL_SIZE, Worker, lock};

/// Whatever kind of guard it is.
enum Guard {
    Lock(LockGuard),
    Read(ReadGuard),
    Write(WriteGuard),
    Permits(PermitGuard),
}

impl Guard {
    fn get(&self) -> &LockGuard {
        match self {
            Self::Lock(guard) => guard,
            Self::Read(guard) => guard,
            Self::Write(guard) => guard,
            Self::Permits(guard) => guard,
        }
    }

    async fn release(self) -> Result<(), Error> {
        match self {
            Self::Lock(guard) => guard.unlock().await,
            Self::Read(guard) => guard.unlock().await,
            Self::Write(guard) => guard.unlock().await,
            Self::Permits(guard) => guard.release().await,
        }
    }
}

/// A lock, and how it is held.
type Hold = (String, Held);

impl Worker {
    /// Asks for one lock until it is had or the session is lost, in peace. Whether it was had.
    pub(super) async fn insist(&mut self, client: &Client, name: &str) -> bool {
        let floors = self.floors(&[name]);
        let had = if name == POOL {
            let all = client.semaphore(POOL, POOL_SIZE).acquire_many(POOL_SIZE).await;
            all.map(|guard| (Guard::Permits(guard), permits(POOL_SIZE)))
        } else {
            client.mutex(name).lock().await.map(|guard| (Guard::Lock(guard), Held::Exclusive))
        };
        match had {
            Ok((guard, held)) => {
                self.hold(client, guard, vec![(name.to_owned(), held)], floors).await;
                true
            }
            Err(e) => {
                self.refused(Act::Ask, &e);
                self.pause().await;
                false
            }
        }
    }

    /// One attempt at something.
    pub(super) async fn visit(&mut self, client: &Client) {
        let name = self.any_lock();
        match self.random.random_range(0..100) {
            0..20 => self.visit_mutex(client, &name).await,
            20..30 => self.visit_together(client, &name).await,
            30..50 => self.visit_as_reader(client, &name).await,
            50..58 => self.visit_as_writer(client, &name).await,
            58..70 => self.visit_pool(client).await,
            70..82 => self.visit_several(client).await,
            82..93 => self.visit_nested(client, &name).await,
            93..97 => self.act_too_late(client, &name).await,
            _ => self.force(client, &name).await,
        }
    }

    async fn visit_mutex(&mut self, client: &Client, name: &str) {
        let mut mutex = client.mutex(name);
        if self.random.random_range(0..6) == 0 {
            mutex = mutex.lock_delay(self.up_to_ms(800));
        }
        let floors = self.floors(&[name]);
        let attempt = match self.random.random_range(0..10) {
            0..5 => mutex.lock().await.map(Some),
            5..7 => mutex.try_lock().await,
            7..9 => mutex.lock_timeout(self.up_to_ms(500)).await,
            // Gives up in the middle: no grant may leak from that.
            _ => tokio::time::timeout(self.up_to_ms(50), mutex.lock()).await.ok().transpose(),
        };
        let holds = vec![(name.to_owned(), Held::Exclusive)];
        self.had(client, attempt.map(|had| had.map(Guard::Lock)), holds, floors).await;
    }

    /// Several tasks of one client want the same, so it hands the lock on by itself.
    async fn visit_together(&mut self, client: &Client, name: &str) {
        let before = client.traffic().handed_on;
        let count = self.random.random_range(2..=5);
        let mut tasks: Vec<Self> = (0..count).map(|_| self.split()).collect();
        join_all(tasks.iter_mut().map(|task| task.visit_mutex(client, name))).await;
        self.ledger.count_many("handed on", client.traffic().handed_on - before);
    }

    fn released(&mut self, name: &str, token: u64, released: Result<(), Error>) {
        match released {
            Ok(()) => {
                self.ledger.count("releases");
                self.note(&format!("has released {name} with token {token}"));
            }
            Err(e) => self.refused(Act::Release { token }, &e),
        }
    }

    async fn visit_as_reader(&mut self, client: &Client, name: &str) {
        let floors = self.floors(&[name]);
        let read = client.rw_lock(name).read_timeout(self.up_to_ms(2_000)).await;
        let Ok(Some(guard)) = read else {
            let nothing = read.map(|_| None);
            return self.had(client, nothing, vec![], floors).await;
        };
        if self.random.random_range(0..3) > 0 {
            let holds = vec![(name.to_owned(), Held::Shared)];
            return self.hold(client, Guard::Read(guard), holds, floors).await;
        }
        let told = self.believe(client, guard.token(), &[(name.to_owned(), Held::Shared)], &floors);
        tokio::time::sleep(self.up_to_ms(20)).await;
        let floors = self.floors(&[name]);
        // It still shares the lock while it waits; it acts on it no more.
        self.disbelieve(&told);
        let token = guard.token();
        match guard.upgrade_timeout(self.up_to_ms(500)).await {
            Ok(guard) => {
                self.ledger.count("upgrades");
                let holds = vec![(name.to_owned(), Held::Exclusive)];
                self.hold(client, Guard::Write(guard), holds, floors).await;
            }
            Err(refused) => {
                self.refused(Act::Upgrade { token }, &refused.error);
            }
        }
    }

    async fn visit_as_writer(&mut self, client: &Client, name: &str) {
        let floors = self.floors(&[name]);
        let written = client.rw_lock(name).write_timeout(self.up_to_ms(2_000)).await;
        let Ok(Some(guard)) = written else {
            let nothing = written.map(|_| None);
            return self.had(client, nothing, vec![], floors).await;
        };
        let exclusive = [(name.to_owned(), Held::Exclusive)];
        let told = self.believe(client, guard.token(), &exclusive, &floors);
        tokio::time::sleep(self.up_to_ms(30)).await;
        self.disbelieve(&told);
        let token = guard.token();
        match guard.downgrade().await {
            Ok(guard) => {
                self.ledger.count("downgrades");
                // The token is the one that was seen already.
                let holds = vec![(name.to_owned(), Held::Shared)];
                self.hold(client, Guard::Read(guard), holds, vec![0]).await;
            }
            Err(e) => self.refused(Act::Downgrade { token }, &e),
        }
    }

    async fn visit_pool(&mut self, client: &Client) {
        let count = self.random.random_range(1..=POOL_SIZE);
        let floors = self.floors(&[POOL]);
        let pool = client.semaphore(POOL, POOL_SIZE);
        let had = pool.acquire_many_timeout(count, self.up_to_ms(2_000)).await;
        let holds = vec![(POOL.to_owned(), permits(count))];
        self.had(client, had.map(|had| had.map(Guard::Permits)), holds, floors).await;
    }

    async fn visit_several(&mut self, client: &Client) {
        let mut holds: Vec<Hold> = vec![(lock(0), Held::Exclusive), (lock(1), Held::Exclusive)];
        for (_, held) in &mut holds {
            if self.random.random_range(0..2) == 0 {
                *held = Held::Shared;
            }
        }
        if self.random.random_range(0..2) == 0 {
            holds.push((POOL.to_owned(), permits(1)));
        }
        let specs = holds.iter().map(|(name, held)| match held {
            Held::Exclusive => LockSpec::exclusive(name),
            Held::Shared => LockSpec::shared(name),
            Held::Permits { count, of } => LockSpec::permits(name, *count, *of),
        });
        let all = client.lock_all(specs.collect::<Vec<_>>());
        let names: Vec<&str> = holds.iter().map(|(name, _)| name.as_str()).collect();
        let floors = self.floors(&names);
        let had = match self.random.random_range(0..3) {
            0 => all.try_lock().await,
            _ => all.lock_timeout(self.up_to_ms(2_000)).await,
        };
        if matches!(had, Ok(Some(_))) {
            self.ledger.count("several at once");
        }
        self.had(client, had.map(|had| had.map(Guard::Lock)), holds, floors).await;
    }

    /// One lock under another, in any order: deadlocks are refused, or this would hang for ever.
    async fn visit_nested(&mut self, client: &Client, name: &str) {
        let floors = self.floors(&[name]);
        let outer = match client.mutex(name).lock().await {
            Ok(outer) => outer,
            Err(e) => {
                self.refused(Act::Ask, &e);
                return self.pause().await;
            }
        };
        let exclusive = |name: &str| [(name.to_owned(), Held::Exclusive)];
        let told = self.believe(client, outer.token(), &exclusive(name), &floors);
        tokio::time::sleep(self.up_to_ms(20)).await;
        let other = self.any_lock();
        let policy = match self.random.random_range(0..4) {
            0 => DeadlockPolicy::WoundWait,
            1 => DeadlockPolicy::WaitDie,
            _ => DeadlockPolicy::Detect,
        };
        let floors = self.floors(&[&other]);
        let others = if other == name || self.random.random_range(0..2) == 0 {
            vec![LockSpec::exclusive(&other)]
        } else {
            vec![LockSpec::permits(POOL, 1, POOL_SIZE), LockSpec::exclusive(&other)]
        };
        let inner = client.lock_all(others).under(&outer).deadlock_policy(policy).lock().await;
        match inner {
            Ok(guard) => {
                self.ledger.count("nested");
                let holds = exclusive(&other).to_vec();
                self.hold(client, Guard::Lock(guard), holds, floors).await;
            }
            Err(e) => self.refused(Act::Nest { outer: outer.token() }, &e),
        }
        self.disbelieve(&told);
        let token = outer.token();
        if let Err(e) = outer.unlock().await {
            self.refused(Act::Release { token }, &e);
        }
    }

    /// Goes on under a lock that it has given back: that must be refused.
    async fn act_too_late(&mut self, client: &Client, name: &str) {
        let guard = match client.mutex(name).lock_timeout(self.up_to_ms(1_000)).await {
            Ok(Some(guard)) => guard,
            Ok(None) => return self.pause().await,
            Err(e) => {
                self.refused(Act::Ask, &e);
                return self.pause().await;
            }
        };
        let (proof, token, id) = (guard.proof(), guard.token(), self.id);
        if let Err(e) = guard.unlock().await {
            return self.refused(Act::Release { token }, &e);
        }
        match client.mutex("elsewhere").under(proof).try_lock().await {
            Ok(Some(_)) => {
                self.ledger.violated(format!("client {id} acted under {name} after its release"));
            }
            Ok(None) => {
                self.ledger.violated(format!("client {id} found what nobody can hold held"))
            }
            Err(e) => self.refused(Act::GoOnTooLate, &e),
        }
    }

    /// Takes a lock from somebody who believes in it.
    async fn force(&mut self, client: &Client, name: &str) {
        let Some(token) = self.ledger.about_to_force(name) else { return self.pause().await };
        match client.force_release(name, Some(token)).await {
            Ok(()) => self.ledger.count("forced"),
            Err(e) => self.refused(Act::Force, &e),
        }
    }

    async fn had(
        &mut self,
        client: &Client,
        attempt: Result<Option<Guard>, Error>,
        holds: Vec<Hold>,
        floors: Vec<u64>,
    ) {
        match attempt {
            Ok(Some(guard)) => return self.hold(client, guard, holds, floors).await,
            Ok(None) => self.ledger.count("refused"),
            Err(e) => self.refused(Act::Ask, &e),
        }
        self.pause().await;
    }

    async fn hold(&mut self, client: &Client, guard: Guard, holds: Vec<Hold>, floors: Vec<u64>) {
        let token = guard.get().token();
        let told = self.believe(client, token, &holds, &floors);
        // Now and then long enough to live through a failover.
        let longest = if self.random.random_range(0..12) == 0 { 2_000 } else { 80 };
        let work = self.up_to_ms(longest);
        let lost = tokio::select! {
            () = tokio::time::sleep(work) => false,
            () = guard.get().lost() => true,
        };
        // From here on it does not act on the lock any more.
        self.disbelieve(&told);
        let name = &holds[0].0;
        if lost {
            return self.note(&format!("has lost {name} with token {token}"));
        }
        if guard.get().is_contended() {
            self.ledger.count("told that others wait");
        }
        if self.random.random_range(0..5) == 0 {
            self.note(&format!("drops {name} with token {token}"));
            return drop(guard);
        }
        let released = guard.release().await;
        self.released(name, token, released);
    }

    /// From now on it acts on these locks.
    fn believe(
        &mut self,
        client: &Client,
        token: u64,
        holds: &[Hold],
        floors: &[u64],
    ) -> Vec<(String, u64)> {
        let session = client.session().id();
        for ((name, held), floor) in holds.iter().zip(floors) {
            self.note(&format!("has {name} with token {token}"));
            let belief = Belief { client: self.id, session, token, held: *held, forced: false };
            self.ledger.granted(name, belief, *floor);
        }
        holds.iter().map(|(name, _)| (name.clone(), token)).collect()
    }

    fn disbelieve(&mut self, told: &[(String, u64)]) {
        for (name, token) in told {
            self.ledger.disbelieved(name, *token);
        }
    }

    /// The largest tokens known before it asks.
    fn floors(&self, names: &[&str]) -> Vec<u64> {
        names.iter().map(|name| self.ledger.floor(name)).collect()
    }

    async fn pause(&mut self) {
        let pause = self.up_to_ms(40);
        tokio::time::sleep(pause).await;
    }
}

fn permits(count: u32) -> Held {
    Held::Permits { count, of: POOL_SIZE }
}
