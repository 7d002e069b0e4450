//! Which command of caches is which rule, and what is done to caches as a whole, in the model.

use holdfast_primitives::limits::SWEEP_MAX;
use holdfast_primitives::{
    CacheChange, CacheEvent, CacheSettings, Command, LineName, Name, Outcome, Rejection, Request,
    Seq, SessionId, Token,
};

use super::{Cache, CacheModel, Sweep, What};

impl CacheModel {
    pub(super) fn execute_on_cache(&mut self, id: SessionId, request: &Request) -> Outcome {
        let anonymous = id == SessionId::NONE;
        match &request.command {
            Command::CreateCache { cache, settings } if anonymous => self.create(cache, settings),
            Command::ChangeCache { cache, change } if anonymous => self.change(cache, change),
            Command::DeleteCache { cache } if anonymous => self.delete(cache),
            Command::SweepCache { cache, prefix, max } => {
                self.sweep(id, request.seq, cache, prefix, *max)
            }
            Command::FillLine { line, how } => self.fill(id, request, line, *how),
            Command::WriteLine { line, write } => self.write(id, request, line, write),
            Command::FlushLine { line, token, change, keep } if !anonymous => {
                self.flush(id, line, *token, change.as_ref(), *keep)
            }
            Command::LetLinesGo { cache, lines } if !anonymous => self.let_go(id, cache, lines),
            Command::GiveUpLoad { line, token } if !anonymous => self.give_up(id, line, *token),
            Command::EndCacheRequest { line, seq } if !anonymous => self.quit(id, line, *seq),
            _ => Outcome::Rejected(Rejection::Misplaced),
        }
    }

    pub(super) fn make_cache(&mut self, name: &Name) {
        if self.cache(name).is_none() {
            self.make_with(name, CacheSettings::default());
        }
    }

    fn make_with(&mut self, name: &Name, settings: CacheSettings) {
        let at = self.caches.partition_point(|cache| cache.name < *name);
        let (name, totals, sweeps) = (name.clone(), Default::default(), Vec::new());
        self.caches.insert(at, Cache { name: name.clone(), settings, totals, sweeps });
        self.cache_event(&name, CacheEvent::Created);
    }

    fn create(&mut self, cache: &Name, settings: &CacheChange) -> Outcome {
        let settings = match CacheSettings::default().with(settings) {
            Ok(settings) => settings,
            Err(error) => return Outcome::Rejected(error.into()),
        };
        match self.cache(cache) {
            Some(known) if known.settings == settings => {}
            Some(_) => return Outcome::Rejected(Rejection::CacheExists { cache: cache.clone() }),
            None => self.make_with(cache, settings),
        }
        Outcome::Done
    }

    fn change(&mut self, name: &Name, change: &CacheChange) -> Outcome {
        let Some(cache) = self.cache_mut(name) else {
            return Outcome::Rejected(Rejection::NoSuchCache { cache: name.clone() });
        };
        let settings = match cache.settings.with(change) {
            Ok(settings) => settings,
            Err(error) => return Outcome::Rejected(error.into()),
        };
        if cache.settings != settings {
            cache.settings = settings;
            self.cache_event(name, CacheEvent::Changed);
        }
        Outcome::Done
    }

    fn delete(&mut self, name: &Name) -> Outcome {
        let cache = name.clone();
        if self.cache(name).is_none() {
            return Outcome::Rejected(Rejection::NoSuchCache { cache });
        }
        let lines = self.lines_of(name).count() as u64;
        if lines > 0 {
            return Outcome::Rejected(Rejection::CacheNotEmpty { cache, lines });
        }
        self.caches.retain(|cache| cache.name != *name);
        self.cache_event(name, CacheEvent::Deleted);
        Outcome::Done
    }

    fn sweep(
        &mut self,
        session: SessionId,
        seq: Seq,
        cache: &Name,
        prefix: &str,
        max: u32,
    ) -> Outcome {
        if self.cache(cache).is_none() {
            return Outcome::Rejected(Rejection::NoSuchCache { cache: cache.clone() });
        }
        let max = (if max == 0 || max > SWEEP_MAX { SWEEP_MAX } else { max }) as usize;
        let lines = self.lines_of(cache).filter(|line| line.name.key.as_str().starts_with(prefix));
        let (all, empty): (Vec<_>, Vec<_>) =
            lines.partition(|line| line.value.is_some() || !line.copies.is_empty());
        let all: Vec<LineName> = all.iter().map(|line| line.name.clone()).collect();
        let (count, more) = (all.len().min(max) as u32, all.len() > max);
        let ticket = self.revision;
        // All that are seen before the first that has to wait for another sweep.
        let loading = empty.iter().filter(|line| line.load.is_some()).map(|line| line.name.clone());
        let loading: Vec<LineName> =
            loading.filter(|name| all.get(max).is_none_or(|next| name < next)).collect();
        for name in &loading {
            self.load_is_over(name);
        }
        if count == 0 {
            return Outcome::Swept { count, more };
        }
        let sweep = Sweep { ticket, session, seq, left: count, count, more };
        self.cache_mut(cache).expect("it is there").sweeps.push(sweep);
        for name in &all[..count as usize] {
            self.revision += 1;
            self.remove(name, What::Sweep(ticket));
        }
        self.own_notice(session, seq, ticket).unwrap_or_else(|| {
            let sweeps = &self.cache(cache).expect("it is there").sweeps;
            let sweep = sweeps.iter().find(|sweep| sweep.ticket == ticket).expect("it goes on");
            Outcome::Waiting { ticket: Token::new(ticket), ahead: sweep.left }
        })
    }

    /// What has become of a sweep that was told to wait.
    pub(super) fn fate_of_sweep(&self, id: SessionId, seq: Seq, cache: &Name) -> Outcome {
        let sweeps = self.cache(cache).map_or(&[][..], |cache| &cache.sweeps);
        match sweeps.iter().find(|sweep| sweep.session == id && sweep.seq == seq) {
            Some(sweep) => Outcome::Waiting { ticket: Token::new(sweep.ticket), ahead: sweep.left },
            None => self.ended(id, seq),
        }
    }
}
