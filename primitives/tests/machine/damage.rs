//! Batches and snapshots as bytes: whole, random, and damaged.

use holdfast_primitives::{Batch, Command, Machine, Restore, Section, Timestamp};
use proptest::prelude::*;

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
            let assembled = Batch::assemble(batch.proposed_at, parts.len(), slices);
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
        let mut blocks: Vec<_> = machine.snapshot().collect();
        for (at, byte) in &damage {
            let at = at.index(blocks.len());
            let inner = cut.index(blocks[at].len());
            blocks[at][inner] = *byte;
        }
        let mut restore = Restore::new();
        let all_read = blocks.iter().all(|block| restore.push(block).is_ok());
        if all_read && let Ok(mut restored) = restore.finish() {
            let tick = vec![Section::anonymous(Command::Tick)];
            restored.apply(&Batch::new(Timestamp::from_millis(u64::MAX), tick));
        }
    }
}
