//! Loading what is missing.

use holdfast_proto::ErrorCode;

use super::{answer, begin, shared, text, written};
use crate::connection::Answer;
use crate::stand_in::pair;
use crate::{Error, LoadError, Proof};

#[tokio::test(start_paused = true)]
async fn one_loads_and_gives_up_when_it_fails() {
    let (client, mut task) = pair();
    let cache = client.cache("c");
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: load k 10000 ms");
    answer(reply, Ok(Answer::Loading { token: 7 }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: put \"loaded\" k of load 7");
    // Something was written meanwhile.
    answer(reply, Err(Error::Rejected { code: ErrorCode::LoadOver, message: "why".into() }));
    let load = begin(load);
    let (asked, reply) = task.next();
    assert_eq!(asked, "c: load k 10000 ms");
    answer(reply, shared(9, "written"));
    assert_eq!(load.await.expect("a value").text(), Some("written"));
    assert_eq!(text(&cache, "k"), "written");
    task.expect(&[]);

    let failing = cache.get_or_load("j", None, || async { Err::<&str, _>("no luck") });
    let failing = begin(failing);
    answer(task.next().1, Ok(Answer::Loading { token: 8 }));
    assert_eq!(failing.await, Err(LoadError::Loader("no luck")));
    task.expect(&["c: give up j 8"]);

    let never = cache.get_or_load("j", None, std::future::pending::<Result<&str, String>>);
    let never = begin(never);
    answer(task.next().1, Ok(Answer::Loading { token: 9 }));
    drop(begin(never));
    task.expect(&["c: give up j 9"]);
}

#[tokio::test(start_paused = true)]
async fn a_load_is_given_up_whose_value_is_not_stored_for_certain() {
    let (client, mut task) = pair();
    let cache = client.cache("c").under(Proof::new("l", 3));
    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>(vec![0; 5 << 20]) }));
    answer(task.next().1, Ok(Answer::Loading { token: 7 }));
    let Err(LoadError::Cache(refused)) = load.await else { panic!("it is too large") };
    assert_eq!(refused.code(), Some(ErrorCode::ValueTooLarge));
    task.expect(&["c: give up k 7"]);

    let stale = Error::Rejected { code: ErrorCode::StaleToken, message: "why".into() };
    let unknown = Error::Unknown { message: "why".into() };
    for error in [stale, unknown] {
        let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
        answer(task.next().1, Ok(Answer::Loading { token: 8 }));
        let load = begin(load);
        let (asked, reply) = task.next();
        assert_eq!(asked, "c: put \"loaded\" k of load 8 under l");
        answer(reply, Err(error.clone()));
        assert_eq!(load.await, Err(LoadError::Cache(error)));
        task.expect(&["c: give up k 8"]);
    }

    let load = begin(cache.get_or_load("k", None, || async { Ok::<_, String>("loaded") }));
    answer(task.next().1, Ok(Answer::Loading { token: 9 }));
    let load = begin(load);
    answer(task.next().1, written(10));
    assert_eq!(load.await.expect("stored").version, 10);
    task.expect(&[]);
}
