//! Commits that ride along with the entries that follow.
//!
//! Whenever a batch is committed, the engine tells every follower at once, by a request without
//! entries. Where one small batch follows the other, that is as many requests again as there are
//! batches, and for each the sockets of both ends are read and written, and two processes woken. So
//! such a request is held back for a moment. If entries come meanwhile, they say the same.
//!
//! Nobody waits for it but who reads from a follower what was written just now. A large batch is
//! told at once: it takes a follower some time to apply, and before it has done so it should not
//! have to acknowledge the next.

use std::pin::Pin;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::time::Instant;

use super::types::{AppendRequest, bytes_of};

/// How long a commit waits for entries.
const HELD_BACK: Duration = Duration::from_millis(1);

/// What a follower applies in a few dozen microseconds.
const SMALL_BYTES: usize = 4 << 10;

/// Leaves out the requests which say nothing that another does not say soon.
pub(super) fn let_commits_ride(
    requests: impl Stream<Item = AppendRequest> + Unpin,
) -> impl Stream<Item = AppendRequest> {
    let state = (requests.peekable(), 0);
    stream::unfold(state, |(mut requests, mut unapplied)| async move {
        let mut request = requests.next().await?;
        let until = Instant::now() + HELD_BACK;
        while request.entries.is_empty()
            && unapplied <= SMALL_BYTES
            && let peek = Pin::new(&mut requests).peek()
            && let Ok(Some(next)) = tokio::time::timeout_at(until, peek).await
            && says_all_of(next, &request)
        {
            request = requests.next().await?;
        }
        if !request.entries.is_empty() {
            unapplied = bytes_of(&request.entries);
        }
        Some((request, (requests, unapplied)))
    })
}

fn says_all_of(next: &AppendRequest, request: &AppendRequest) -> bool {
    next.vote == request.vote
        && next.prev_log_id == request.prev_log_id
        && next.leader_commit >= request.leader_commit
}

#[cfg(test)]
mod tests {
    use openraft::testing::log_id;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;
    use crate::raft::types::{BatchBytes, Entry, Payload, TypeConfig, Vote};

    /// A request of a leader of `term`, with so many entries after `prev`.
    fn request(term: u64, prev: u64, entries: u64, commit: u64) -> AppendRequest {
        let at = |index| log_id::<TypeConfig>(term, 1, index);
        let entry = |index| Entry { log_id: at(index), payload: Payload::Blank };
        AppendRequest {
            vote: Vote::new_committed(term, 1),
            prev_log_id: Some(at(prev)),
            entries: (prev + 1..=prev + entries).map(entry).collect(),
            leader_commit: Some(at(commit)),
        }
    }

    /// What becomes of requests that come one after the other, each after so many milliseconds.
    async fn sent(requests: Vec<(u64, AppendRequest)>) -> Vec<(usize, u64, u64)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for (after, request) in requests {
                tokio::time::sleep(Duration::from_millis(after)).await;
                sender.send(request).expect("it is read");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        let begun = Instant::now();
        let riding = std::pin::pin!(let_commits_ride(UnboundedReceiverStream::new(receiver)));
        let told = riding.map(|request| {
            let commit = request.leader_commit.map_or(0, |id| id.index);
            (request.entries.len(), commit, begun.elapsed().as_millis() as u64)
        });
        told.collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_goes_with_the_entries_that_follow() {
        let requests = vec![
            (0, request(1, 3, 2, 3)),
            (5, request(1, 5, 0, 5)),
            (0, request(1, 5, 1, 5)),
            (0, request(1, 6, 0, 6)),
        ];
        assert_eq!(sent(requests).await, [(2, 3, 0), (1, 5, 5), (0, 6, 6)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_is_told_soon_even_if_others_follow() {
        let commit = |at| request(1, 9, 0, at);
        let requests = vec![(0, commit(5)), (0, commit(6)), (2, commit(7)), (50, commit(8))];
        assert_eq!(sent(requests).await, [(0, 6, 1), (0, 7, 3), (0, 8, 53)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_batch_is_told_at_once() {
        let mut large = request(1, 3, 1, 3);
        large.entries[0].payload = Payload::Normal(BatchBytes(vec![0; SMALL_BYTES + 1].into()));
        let requests = vec![
            (0, large),
            (5, request(1, 4, 0, 4)),
            (0, request(1, 4, 1, 4)),
            (5, request(1, 5, 0, 5)),
        ];
        assert_eq!(sent(requests).await, [(1, 3, 0), (0, 4, 5), (1, 4, 5), (0, 5, 11)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_next_request_does_not_say_is_said() {
        let requests = vec![
            (0, request(1, 5, 0, 5)),
            (0, request(2, 5, 0, 5)),
            (0, request(2, 7, 1, 5)),
            (0, request(2, 8, 0, 4)),
        ];
        let told: Vec<_> = sent(requests).await.into_iter().map(|(n, at, _)| (n, at)).collect();
        assert_eq!(told, [(0, 5), (0, 5), (1, 5), (0, 4)]);
    }
}
