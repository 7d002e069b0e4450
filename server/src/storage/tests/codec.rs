//! Persisted bytes stay what they are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::raft::types::{
    BatchBytes, LeaderId, LogId, Membership, Payload, Peer, SnapshotMeta, StoredMembership, Vote,
};
use crate::storage::codec::{
    PayloadKind, decode_membership, decode_payload, decode_snapshot_meta, encode_membership,
    encode_payload, encode_snapshot_meta, put_opt_log_id, put_vote,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn log_id(term: u64, node_id: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id }, index)
}

fn membership() -> Membership {
    let peer = |n: u64| Peer { peer_addr: format!("p{n}"), client_addr: format!("c{n}") };
    let configs = vec![BTreeSet::from([1, 2]), BTreeSet::from([2])];
    let nodes = BTreeMap::from([(1, peer(1)), (2, peer(2)), (3, peer(3))]);
    Membership::new(configs, nodes).unwrap()
}

const MEMBERSHIP: &str = "01020000000200000001000000000000000200000000000000010000000200000000\
    000000030000000100000000000000020000007031020000006331020000000000000002000000703202000000\
    63320300000000000000020000007033020000006333";

#[test]
fn golden_bytes() {
    let mut out = Vec::new();
    put_opt_log_id(&mut out, Some(&log_id(3, 2, 260)));
    put_opt_log_id(&mut out, None);
    assert_eq!(hex(&out), "010300000000000000020000000000000004010000000000".to_owned() + "0000");
    let mut out = Vec::new();
    put_vote(&mut out, &Vote::new_committed(5, 7));
    assert_eq!(hex(&out), "0500000000000000070000000000000001");
    assert_eq!(hex(&encode_membership(&membership())), MEMBERSHIP);
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(1, 1, 9)),
        last_membership: StoredMembership::new(None, membership()),
    };
    let expect =
        format!("0101010000000000000001000000000000000900000000000000{}{MEMBERSHIP}", "00");
    assert_eq!(hex(&encode_snapshot_meta(&meta)), expect);
}

#[test]
fn what_was_encoded_is_decoded_and_every_cut_is_refused() {
    let bytes = encode_membership(&membership());
    assert_eq!(decode_membership(&bytes).unwrap(), membership());
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(1, 1, 9)),
        last_membership: StoredMembership::new(Some(log_id(1, 1, 4)), membership()),
    };
    let bytes = encode_snapshot_meta(&meta);
    assert_eq!(decode_snapshot_meta(&bytes).unwrap(), meta);
    for len in 0..bytes.len() {
        assert!(decode_snapshot_meta(&bytes[..len]).is_err(), "cut at {len}");
    }
    let empty = encode_snapshot_meta(&SnapshotMeta::default());
    assert_eq!(decode_snapshot_meta(&empty).unwrap(), SnapshotMeta::default());
}

#[test]
fn a_batch_is_shared_and_not_copied() {
    let bytes = Bytes::from(vec![7; 100]);
    let (kind, shared) = encode_payload(&Payload::Normal(BatchBytes(bytes.clone())));
    assert_eq!((kind, shared.as_ptr()), (PayloadKind::Normal, bytes.as_ptr()));
    let Payload::Normal(batch) = decode_payload(kind, shared).unwrap() else { panic!() };
    assert_eq!(batch.0.as_ptr(), bytes.as_ptr());
    for payload in [Payload::Blank, Payload::Membership(membership())] {
        let (kind, bytes) = encode_payload(&payload);
        assert_eq!(decode_payload(kind, bytes).unwrap(), payload);
    }
    assert!(decode_payload(PayloadKind::Blank, bytes).is_err());
}
