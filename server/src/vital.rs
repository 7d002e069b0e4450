//! Tasks without which a node must not go on: if one panics, the node ends, and says why, instead
//! of being there and doing only a part of its work.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::watch;

/// Starts such tasks, and ends the node for other reasons. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Vital(watch::Sender<Option<String>>);

impl Vital {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Becomes `Some` when the node must not go on, with the reason.
    pub(crate) fn fatal(&self) -> watch::Receiver<Option<String>> {
        self.0.subscribe()
    }

    /// The node must not go on. The first reason stays.
    pub(crate) fn end(&self, why: String) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            if is_first {
                *known = Some(why);
            }
            is_first
        });
    }

    /// Starts a task.
    pub(crate) fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(self.guard(what, task));
    }

    /// What is to be started as a task. Nobody sees again what a panic has left behind in it.
    pub(crate) fn guard<T: Future<Output = ()> + Send + 'static>(
        &self,
        what: &'static str,
        task: T,
    ) -> impl Future<Output = ()> + Send + use<T> {
        let vital = self.clone();
        async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                vital.end(format!("{what} has panicked: the log says where"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_task_ends_the_node_and_its_end_does_not() {
        let vital = Vital::new();
        vital.guard("one that ends", async {}).await;
        assert_eq!(*vital.fatal().borrow(), None);
        vital.spawn("one that panics", async { panic!("on purpose") });
        let mut fatal = vital.fatal();
        let why = fatal.wait_for(Option::is_some).await.expect("it is there").clone();
        assert_eq!(why.as_deref(), Some("one that panics has panicked: the log says where"));
        vital.end("another reason".into());
        assert_eq!(*fatal.borrow(), why, "the first reason stays");
    }
}
