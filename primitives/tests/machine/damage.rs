//! Batches and snapshots as bytes: whole, random, and damaged.

use holdfast_primitives::{Batch, Command, Machine, Restore, Section, Timestamp};
use proptest::prelude::*;

use crate::cache_properties::play;
use crate::model::Model;
use crate::properties::config;
use crate::workload::{Clients, Step, steps};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sections_can_be_assembled(steps in steps()) {
        let (mut model, mut clients) = (Model::default(), Clients::default());
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let batch = clients.batch(&model, *advance, ops);
            clients.learn(&model.apply(&batch).outcomes);
            let encode = |section: &Section| {
                let mut bytes = Vec::new();
                section.encode_into(&mut bytes);
                bytes
            };
            let parts: Vec<_> = batch.sections.iter().map(encode).collect();
            let slices = parts.iter().map(Vec::as_slice);
            let Batch { proposed_at, disk, .. } = batch;
            let assembled = Batch::assemble(proposed_at, disk, parts.len(), slices);
            prop_assert_eq!(&assembled, &batch.encode());
            prop_assert_eq!(Batch::decode_copy(&assembled), Ok(batch));
        }
    }

    #[test]
    fn random_bytes_are_refused_calmly(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Batch::decode_copy(&bytes);
        bytes.insert(0, 1);
        let _ = Batch::decode_copy(&bytes);
        let mut restore = Restore::new();
        let _ = restore.push(&bytes);
        let _ = restore.push(&bytes);
        let _ = restore.finish();
    }

    #[test]
    fn damaged_bytes_are_refused_calmly(
        steps in steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut machine, mut model) = (Machine::new(), Model::default());
        let mut clients = Clients::default();
        for step in &steps {
            let Step::Batch { advance, ops } = step else { continue };
            let batch = clients.batch(&model, *advance, ops);
            clients.learn(&machine.apply(&batch).outcomes);
            model.apply(&batch);
            let mut bytes = batch.encode();
            prop_assert!(Batch::decode_copy(&bytes[..cut.index(bytes.len())]).is_err());
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            // What can be read has one spelling.
            if let Ok(other) = Batch::decode_copy(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }
        restore_damaged(&machine, &damage, cut);
    }

    #[test]
    fn damaged_bytes_of_caches_are_refused_calmly(
        seed in 0..1_000_000_u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut batches = 0;
        play(seed, None, |seen| {
            let mut bytes = seen.batch.encode();
            assert!(Batch::decode_copy(&bytes[..cut.index(bytes.len())]).is_err());
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Ok(other) = Batch::decode_copy(&bytes) {
                assert_eq!(other.encode(), bytes);
            }
            batches += 1;
            if batches % 16 == 0 {
                restore_damaged(seen.machine, &damage, cut);
            }
        });
    }
}

type Damage = (prop::sample::Index, u8);

/// Whatever is wrong with a snapshot: it is refused, or what comes of it goes on.
fn restore_damaged(machine: &Machine, damage: &[Damage], cut: prop::sample::Index) {
    let mut blocks: Vec<_> = machine.snapshot().collect();
    for (at, byte) in damage {
        let at = at.index(blocks.len());
        let inner = cut.index(blocks[at].len());
        blocks[at][inner] = *byte;
    }
    let mut restore = Restore::new();
    let all_read = blocks.iter().all(|block| restore.push(block).is_ok());
    if all_read && let Ok(mut restored) = restore.finish() {
        for at in [restored.clock().as_millis() + 500, u64::MAX] {
            let tick = vec![Section::anonymous(Command::Tick)];
            restored.apply(&Batch::new(Timestamp::from_millis(at), tick));
        }
    }
}
