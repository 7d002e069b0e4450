//! One process in the cluster comes up with a value, all others wait for it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_proto::ErrorCode;
use holdfast_proto::v1::CacheWritten;

use super::cache::{Cache, Fill, senseless};
use super::owned::put;
use super::table::{Table, Want};
use super::value::CacheValue;
use crate::connection::CacheAsk;
use crate::locks::whole_ms;
use crate::{Error, name};

/// How often a value is loaded whose load was over before it came. A loader that always takes
/// longer than it may would go on for ever.
const ATTEMPTS: usize = 8;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError<E> {
    /// The loader said so.
    #[error("the value could not be loaded: {0}")]
    Loader(E),
    /// The cache did.
    #[error(transparent)]
    Cache(#[from] Error),
}

impl Cache {
    /// What is stored under the key. If there is nothing, `loader` is asked for it, and what it
    /// comes up with is stored for `ttl` (zero: for ever; `None`: as the cache is set).
    ///
    /// However many tasks in however many processes ask at the same time, one loader runs; the
    /// others wait for its value. If it fails, takes longer than [`Cache::load_within`], or its
    /// process dies, another one is asked. If something else is written under the key while it
    /// runs, what it came up with is thrown away, and that is answered.
    ///
    /// ```no_run
    /// # use holdfast_client::Client;
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # async fn render(page: &str) -> Result<String, std::io::Error> { Ok(page.to_owned()) }
    /// let pages = client.cache("pages");
    /// let page = pages.get_or_load("index", None, || render("index")).await?;
    /// println!("{} bytes", page.body.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Loader`]: what the loader of this call said. [`LoadError::Cache`] as
    /// [`Cache::put`], and with `LOAD_OVER` if the loader took too long again and again: see
    /// [`Cache::load_within`].
    pub async fn get_or_load<F, V, E>(
        &self,
        key: impl AsRef<str>,
        ttl: Option<Duration>,
        loader: impl Fn() -> F,
    ) -> Result<CacheValue, LoadError<E>>
    where
        F: Future<Output = Result<V, E>>,
        V: Into<Bytes>,
    {
        if let Some(Some(value)) = self.cached(key.as_ref()) {
            return Ok(value);
        }
        let table = self.table.clone()?;
        let key = name::parse(key.as_ref())?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some(Some(value)) = self.cached(&key) {
                return Ok(value);
            }
            table.counts.miss();
            if let Some(at) = table.absent_in_owned(&key) {
                // Nobody but this client knows, and so the cluster would give nothing to load.
                self.give_back(&table, vec![(key.clone(), at)])?;
            }
            let want = Want::Load { within_ms: whole_ms(self.load_within) };
            let token = match self.fill(&table, &key, want).await? {
                Fill::Filled(filled) => match filled.value {
                    Some(value) => return Ok(value.into()),
                    // This client has come to own the line meanwhile.
                    None if attempts < ATTEMPTS => continue,
                    None => return Err(senseless().into()),
                },
                Fill::Loading { token } => token,
            };
            let mut load = Load { cache: self, table: &table, key: &key, token, is_over: false };
            let body: Bytes = loader().await.map_err(LoadError::Loader)?.into();
            let change = put(body.clone(), ttl.map(whole_ms));
            let stored = self.write_as(&table, &key, change, None, token).await;
            let is_late = is_over(&stored);
            // Otherwise it is given up. If the write was carried out after all, that came first.
            load.is_over = is_late || stored.is_ok();
            match stored {
                Ok(written) => return Ok(CacheValue { version: written.version, body }),
                Err(_) if is_late && attempts < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether the load was over before its value came.
fn is_over(stored: &Result<CacheWritten, Error>) -> bool {
    stored.as_ref().is_err_and(|error| error.code() == Some(ErrorCode::LoadOver))
}

impl Table {
    /// Of which grant the owned copy is that says that there is no value.
    fn absent_in_owned(&self, key: &str) -> Option<u64> {
        let line = self.lines.get(key)?;
        let copy = line.copy.as_ref()?;
        (copy.owned.is_some() && copy.value.is_none()).then_some(copy.at)
    }
}

/// A load that was given to this call. Dropped before it is over, it is given up.
struct Load<'a> {
    cache: &'a Cache,
    table: &'a Table,
    key: &'a Arc<str>,
    token: u64,
    is_over: bool,
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let ask = CacheAsk::GiveUp { key: self.key.clone(), token: self.token };
            self.cache.inner.tell(self.cache.operation(self.table, ask, None));
        }
    }
}
