//! `holdfast queue create`, `change` and `delete`: which queues there are, and how they behave.

use holdfast_client::{QueueSettings, WhenFull};

use crate::args::{ChangeArgs, CreateArgs, DeleteArgs, Full, SettingArgs};
use crate::client;
use crate::commands::faults::{SESSION_TTL, failed};
use crate::failure::{Failure, OK};

/// Makes a queue.
pub(super) async fn create(args: &CreateArgs) -> Result<u8, Failure> {
    let settings = settings(&args.settings);
    let client = client::connect(&args.endpoints, "holdfast queue create", SESSION_TTL).await?;
    let created = client.queue(&args.name).create(&settings).await;
    client::close(client).await;
    let what = format!("cannot create the queue {:?}", args.name);
    created.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// Changes settings of a queue.
pub(super) async fn change(args: &ChangeArgs) -> Result<u8, Failure> {
    let settings = settings(&args.settings);
    if settings == QueueSettings::default() {
        return Err(Failure::usage(
            "no setting is given, so nothing is to be changed; see `holdfast queue change --help`",
        ));
    }
    let client = client::connect(&args.endpoints, "holdfast queue change", SESSION_TTL).await?;
    let changed = client.queue(&args.name).change(&settings).await;
    client::close(client).await;
    let what = format!("cannot change the queue {:?}", args.name);
    changed.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// Removes a queue.
pub(super) async fn delete(args: &DeleteArgs) -> Result<u8, Failure> {
    let client = client::connect(&args.endpoints, "holdfast queue delete", SESSION_TTL).await?;
    let deleted = client.queue(&args.name).delete(args.force).await;
    client::close(client).await;
    let what = format!("cannot delete the queue {:?}", args.name);
    deleted.map(|()| OK).map_err(|error| failed(&what, &error))
}

/// What the flags say. What none of them says stays as it is, or as by default.
fn settings(args: &SettingArgs) -> QueueSettings {
    let mut settings = QueueSettings::default();
    settings.visibility = args.visibility;
    settings.max_deliveries = args.max_deliveries;
    settings.dead_letter = match args.no_dead_letter {
        true => Some(None),
        false => args.dead_letter.clone().map(Some),
    };
    settings.delay = args.delay;
    settings.max_messages = args.max_messages;
    settings.max_bytes = args.max_bytes;
    settings.max_message_bytes = args.max_message_bytes;
    settings.retention = match args.no_retention {
        true => Some(None),
        false => args.retention.map(Some),
    };
    settings.when_full = args.when_full.map(|when| match when {
        Full::Refuse => WhenFull::Refuse,
        Full::Wait => WhenFull::Wait,
    });
    settings.dedup_window = args.dedup_window;
    settings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_no_flag_says_is_left_open() {
        assert_eq!(settings(&SettingArgs::default()), QueueSettings::default());
        let none = SettingArgs { no_dead_letter: true, no_retention: true, ..Default::default() };
        let expect = QueueSettings::default().dead_letter(None).retention(None);
        assert_eq!(settings(&none), expect);
        let hour = Duration::from_secs(3_600);
        let some = SettingArgs {
            dead_letter: Some("dead".into()),
            retention: Some(hour),
            when_full: Some(Full::Wait),
            max_deliveries: Some(0),
            ..Default::default()
        };
        let expect = QueueSettings::default()
            .dead_letter(Some("dead"))
            .retention(Some(hour))
            .when_full(WhenFull::Wait)
            .max_deliveries(0);
        assert_eq!(settings(&some), expect);
    }
}
