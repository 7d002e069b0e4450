//! The protocol of caches, checked exhaustively: it keeps its promise, and each of its rules is
//! needed for that.
//!
//! `HOLDFAST_MODEL_DEPTH` allows so many fills more of each client. `--nocapture` prints how much
//! was looked at, and what goes wrong without a rule.

mod clean;
mod rules;

use std::time::Instant;

use holdfast_tests::cache_model::{Bounds, CacheModel, Rule, Scene, State};
use stateright::{Checker, HasDiscoveries, Model};

/// Looks at everything that can happen in a scene. A model in which nothing happens would pass as
/// well, so it is said how many states there are at least.
#[track_caller]
fn is_clean(scene: Scene, states_min: usize) {
    let depth = std::env::var("HOLDFAST_MODEL_DEPTH");
    let depth = depth.map_or(0, |depth| depth.parse().expect("HOLDFAST_MODEL_DEPTH is a number"));
    let model = CacheModel { bounds: scene.bounds(depth), removed: None };
    let began = Instant::now();
    let checker = model.checker().threads(2).symmetry_fn(State::representative).spawn_dfs().join();
    checker.assert_properties();
    let (states, steps) = (checker.unique_state_count(), checker.max_depth());
    println!("{scene:?}: {states} states, up to {steps} steps, in {:?}", began.elapsed());
    assert!(states >= states_min, "only {states} states were looked at");
}

/// Takes a rule away. Something must go wrong, and it is known what.
#[track_caller]
fn is_needed(rule: Rule, bounds: Bounds, property: &'static str) {
    let model = CacheModel { bounds, removed: Some(rule) };
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let states = checker.unique_state_count();
    let found = checker.discovery(property);
    let path = found.unwrap_or_else(|| panic!("without {rule:?} nothing of {states} goes wrong"));
    let verdict = path.last_state().verdict();
    println!("without {rule:?}, not {property} ({verdict:?}), after {states} states:");
    for action in path.into_actions() {
        println!("  {action:?}");
    }
}
