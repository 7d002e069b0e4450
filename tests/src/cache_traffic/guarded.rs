//! Writing what only the holder of a lock may write.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_client::Client;

use super::{CacheTraffic, GUARDED};
use crate::history::{Came, History, Record, What};

/// The lock under which the guarded key is written.
const LOCK: &str = "lock/of-cache";

/// Writes what only the holder of a lock may write, and now and then after the lock was given back.
pub async fn write_under_guard<R: Record>(traffic: &mut CacheTraffic<R>, client: &Client) {
    let wait = traffic.up_to_ms(500);
    let guard = match client.mutex(LOCK).lock_timeout(wait).await {
        Ok(Some(guard)) => guard,
        Ok(None) => return,
        Err(error) => return traffic.refused(LOCK, &error),
    };
    if traffic.one_of(4) > 0 {
        traffic.put_under(&guard).await;
        if let Err(error) = guard.unlock().await {
            traffic.refused(LOCK, &error);
        }
        return;
    }
    let proof = guard.proof();
    // It is on its way when the lock is given back.
    let release = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        guard.unlock().await
    };
    let (_, released) = futures::future::join(traffic.put_under(proof), release).await;
    if let Err(error) = released {
        traffic.refused(LOCK, &error);
    }
}

/// Values that became visible although a later holder of the lock had written by then: whatever
/// becomes visible later was written under the same lock, or a later one.
pub fn written_under_stale_guards(history: &History) -> Option<String> {
    let mut tokens: BTreeMap<u64, u64> = BTreeMap::new();
    for operation in history.operations().iter().filter(|o| o.key == GUARDED) {
        let (version, value) = match (&operation.what, &operation.came) {
            (_, Came::Read(Some((version, value)))) => (*version, value),
            (What::Put { value, .. }, Came::Written(version)) => (*version, value),
            _ => continue,
        };
        let token = value.split('/').next().and_then(|token| token.parse().ok());
        tokens.insert(version, token.unwrap_or_default());
    }
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    let mut stale = pairs.filter(|((_, earlier), (_, later))| later < earlier);
    let ((_, earlier), (version, later)) = stale.next()?;
    Some(format!(
        "version {version} of {GUARDED} was written under token {later} after one of {earlier}"
    ))
}
