//! Tests of handles and guards against a stand-in for the connection's task.

use std::time::Duration;

use futures::FutureExt;
use holdfast_proto::ErrorCode;
use tokio::time::Instant;

use super::*;
use crate::connection::{Answer, Operation};
use crate::stand_in::{Task, pair};
use crate::{Client, Error};

fn granted(token: u64) -> Result<Answer, Error> {
    Ok(Answer::Granted { token })
}

fn refused(code: ErrorCode) -> Error {
    Error::Rejected { code, message: "why".into() }
}

/// A shared grant of `a` by token 5.
async fn reading(client: &Client, task: &mut Task) -> ReadGuard {
    let lock = client.rw_lock("a");
    let answering = async { task.answer("Shared a", granted(5)) };
    tokio::join!(lock.read(), answering).0.expect("granted")
}

#[tokio::test(start_paused = true)]
async fn every_handle_asks_for_what_it_is_named_after() {
    let (client, mut task) = pair();
    let semaphore = client.semaphore("s", 3);
    let acquiring = semaphore.acquire_many(2);
    let answering = async { task.answer("Permits s", granted(1)) };
    let permits = tokio::join!(acquiring, answering).0.expect("granted");
    assert_eq!((permits.permits(), permits.mode(), permits.token()), (2, LockMode::Permits, 1));

    let all = client.lock_all(["b", "a"]);
    let answering = async { task.answer("Exclusive a,b 0 ms", granted(2)) };
    let both = tokio::join!(all.try_lock(), answering).0.expect("no error").expect("granted");
    assert_eq!(both.names().collect::<Vec<_>>(), ["a", "b"]);

    drop((both, permits));
    task.expect(&["release a 2", "release s 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_got_is_none_and_other_refusals_are_errors() {
    for (code, is_none) in [
        (ErrorCode::LockHeld, true),
        (ErrorCode::LockDelayed, true),
        (ErrorCode::WaitOver, true),
        (ErrorCode::Deadlock, false),
        (ErrorCode::StaleToken, false),
    ] {
        let (client, mut task) = pair();
        let mutex = client.mutex("a");
        let answering = async { task.answer("Exclusive a 1 ms", Err(refused(code))) };
        let got = tokio::join!(mutex.lock_timeout(Duration::from_nanos(1)), answering).0;
        match got {
            Ok(None) => assert!(is_none, "{code:?}"),
            got => assert!(!is_none && got.is_err(), "{code:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn terms_add_up_and_a_clone_keeps_its_own() {
    let (client, mut task) = pair();
    let guard = reading(&client, &mut task).await;
    let plain = client.mutex("b");
    let delay = Duration::from_millis(7);
    let strict = plain.clone().under(&guard).reentrant().lock_delay(delay);
    for (mutex, want) in [
        (plain, Terms { concurrent: true, ..Terms::default() }),
        (
            strict.deadlock_policy(DeadlockPolicy::WaitDie),
            Terms {
                under: Some(Proof::new("a", 5)),
                reentrant: true,
                concurrent: true,
                policy: DeadlockPolicy::WaitDie,
                delay_ms: 7,
            },
        ),
    ] {
        let _ = mutex.lock().now_or_never();
        match task.request() {
            Some((Operation::Acquire { wish, .. }, _)) => assert_eq!(wish.terms, want),
            asked => panic!("{asked:?}"),
        }
        task.expect(&["withdraw b"]);
    }
    let unnamed = client.mutex("b").under(Proof::new("", 1)).lock().await;
    assert!(matches!(unnamed, Err(Error::InvalidName { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_replaces_the_token_and_keeps_what_was_heard() {
    let (client, mut task) = pair();
    let guard = reading(&client, &mut task).await;
    let lost = guard.lost();
    let answering = async { task.answer("upgrade a 5", granted(9)) };
    let guard = tokio::join!(guard.upgrade(), answering).0.expect("granted");
    assert_eq!((guard.token(), guard.mode()), (9, LockMode::Exclusive));
    assert_eq!(lost.now_or_never(), None);

    let answering = async { task.answer("downgrade a 9", Ok(Answer::Done)) };
    let guard = tokio::join!(guard.downgrade(), answering).0.expect("done");
    assert_eq!((guard.token(), guard.mode()), (9, LockMode::Shared));
    drop(guard);
    task.expect(&["release a 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_gives_the_guard_back_and_a_refused_downgrade_releases() {
    let (client, mut task) = pair();
    let guard = reading(&client, &mut task).await;
    let answering = async { task.answer("upgrade a 5 0 ms", Err(refused(ErrorCode::LockHeld))) };
    let UpgradeError { guard, error } =
        tokio::join!(guard.try_upgrade(), answering).0.expect_err("refused");
    assert_eq!(error, refused(ErrorCode::LockHeld));
    assert_eq!((guard.token(), guard.mode(), guard.is_held()), (5, LockMode::Shared, true));

    let answering = async { task.answer("upgrade a 5", granted(9)) };
    let guard = tokio::join!(guard.upgrade(), answering).0.expect("granted");
    let unknown = Error::Unknown { message: "why".into() };
    let answering = async { task.answer("downgrade a 9", Err(unknown.clone())) };
    let error = tokio::join!(guard.downgrade(), answering).0.expect_err("refused");
    assert_eq!(error, unknown);
    task.expect(&["release a 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_upgrade_is_withdrawn_before_the_old_grant_is_released() {
    let (client, mut task) = pair();
    let guard = reading(&client, &mut task).await;
    assert!(guard.upgrade().now_or_never().is_none());
    task.expect(&["upgrade a 5", "withdraw a", "release a 5"]);
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_whose_end_is_not_told_counts_as_lost() {
    let (client, mut task) = pair();
    let guard = reading(&client, &mut task).await;
    let begin = Instant::now();
    let refused = guard.upgrade_timeout(Duration::from_secs(3)).await.expect_err("no answer");
    assert!(refused.error.is_unknown());
    assert_eq!(begin.elapsed().as_secs(), 13, "the wait, and then the time for a request");
    assert!(!refused.guard.is_held());
    refused.guard.lost().await;
    drop(refused);
    task.expect(&["upgrade a 5 3000 ms", "withdraw a", "release a 5"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_hears_what_is_said_of_its_grant() {
    let (client, mut task) = pair();
    let mutex = client.mutex("a");
    let answering = async {
        let Some((Operation::Acquire { grant, .. }, reply)) = task.request() else {
            panic!("no acquire")
        };
        reply.expect("somebody waits").send(granted(5)).expect("and still does");
        grant
    };
    let (guard, grant) = tokio::join!(mutex.lock(), answering);
    let guard = guard.expect("granted");
    assert!(guard.is_held() && !guard.is_contended() && !guard.is_wounded());
    assert_eq!(guard.contended().now_or_never(), None);
    grant.say(Said::Contended);
    grant.say(Said::Wounded);
    guard.contended().await;
    guard.wounded().await;
    assert!(guard.is_held() && guard.is_contended() && guard.is_wounded());
    let lost = guard.lost();
    grant.say(Said::Lost);
    lost.await;
    assert!(!guard.is_held());
}
