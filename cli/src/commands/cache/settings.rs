//! `holdfast cache create`, `change` and `delete`: which caches there are, and how they behave.

use holdfast_client::{CacheSettings, CacheWhenFull};

use crate::args::cache::{CacheSettingArgs, ChangeArgs, CreateArgs, DeleteArgs, Full};
use crate::client;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::failure::{Failure, OK};

/// Makes a cache.
pub(super) async fn create(args: &CreateArgs) -> Result<u8, Failure> {
    let settings = settings(&args.settings);
    let client = client::connect(&args.endpoints, "holdfast cache create", SESSION_TTL).await?;
    let created = client.cache(&args.name).create(&settings).await;
    client::close(client).await;
    let what = format!("cannot create the cache {:?}", args.name);
    created.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// Changes settings of a cache.
pub(super) async fn change(args: &ChangeArgs) -> Result<u8, Failure> {
    let settings = settings(&args.settings);
    if settings == CacheSettings::default() {
        return Err(Failure::usage(
            "no setting is given, so nothing is to be changed; see `holdfast cache change --help`",
        ));
    }
    let client = client::connect(&args.endpoints, "holdfast cache change", SESSION_TTL).await?;
    let changed = client.cache(&args.name).change(&settings).await;
    client::close(client).await;
    let what = format!("cannot change the cache {:?}", args.name);
    changed.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// Removes a cache.
pub(super) async fn delete(args: &DeleteArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast cache delete", SESSION_TTL).await?;
    let deleted = client.cache(&args.name).delete_cache(args.force).await;
    client::close(client).await;
    let what = format!("cannot delete the cache {:?}", args.name);
    deleted.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// What the flags say. What none of them says stays as it is, or as by default.
fn settings(args: &CacheSettingArgs) -> CacheSettings {
    let mut settings = CacheSettings::default();
    settings.max_entries = args.max_entries;
    settings.max_bytes = args.max_bytes;
    settings.max_value_bytes = args.max_value_bytes;
    settings.ttl = match args.no_ttl {
        true => Some(None),
        // As everywhere else, no time at all stands for no end.
        false => args.ttl.map(|ttl| Some(ttl).filter(|ttl| !ttl.is_zero())),
    };
    settings.when_full = args.when_full.map(|when| match when {
        Full::Refuse => CacheWhenFull::Refuse,
        Full::Evict => CacheWhenFull::Evict,
    });
    settings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_no_flag_says_is_left_open() {
        assert_eq!(settings(&CacheSettingArgs::default()), CacheSettings::default());
        let none = CacheSettingArgs { no_ttl: true, ..Default::default() };
        assert_eq!(settings(&none), CacheSettings::default().ttl(None));
        let hour = Duration::from_secs(3_600);
        let some = CacheSettingArgs {
            max_entries: Some(5),
            ttl: Some(hour),
            when_full: Some(Full::Evict),
            ..Default::default()
        };
        let expect =
            CacheSettings::default().max_entries(5).ttl(Some(hour)).when_full(CacheWhenFull::Evict);
        assert_eq!(settings(&some), expect);
    }
}
