//! The rules that settings obey together. Each message names the values, their origins and the way
//! out.

use std::collections::BTreeMap;

use super::layers::{ConfigError, Resolved};
use crate::logging;

/// Checks the settings as a whole.
pub(crate) fn validate(resolved: &Resolved) -> Result<(), ConfigError> {
    check_timing(resolved)?;
    check_sizes(resolved)?;
    check_addresses(resolved)?;
    check_certificate(resolved)?;
    check_members(resolved)?;
    check_log(resolved)
}

fn check_timing(resolved: &Resolved) -> Result<(), ConfigError> {
    let node = &resolved.config.node;
    if node.election_timeout_min_ms <= 2 * node.heartbeat_ms {
        return refuse(format!(
            "{} must be more than twice {}; raise the first or lower the second",
            resolved.describe("election_timeout_min_ms"),
            resolved.describe("heartbeat_ms"),
        ));
    }
    if node.election_timeout_min_ms >= node.election_timeout_max_ms {
        return refuse(format!(
            "{} must be less than {}; twice as much for the second is a good choice",
            resolved.describe("election_timeout_min_ms"),
            resolved.describe("election_timeout_max_ms"),
        ));
    }
    Ok(())
}

fn check_sizes(resolved: &Resolved) -> Result<(), ConfigError> {
    let node = &resolved.config.node;
    if node.segment_bytes < 2 * node.batch_bytes_max as u64 {
        return refuse(format!(
            "{} must be at least twice {}; raise the first or lower the second",
            resolved.describe("segment_bytes"),
            resolved.describe("batch_bytes_max"),
        ));
    }
    Ok(())
}

fn check_addresses(resolved: &Resolved) -> Result<(), ConfigError> {
    let node = &resolved.config.node;
    if node.client_listen == node.peer_listen {
        return refuse(format!(
            "{} and {} are the same; clients and peers need a port each",
            resolved.describe("client_listen"),
            resolved.describe("peer_listen"),
        ));
    }
    for key in ["client_listen", "peer_listen"] {
        let taken = if key == "client_listen" { &node.client_listen } else { &node.peer_listen };
        if node.metrics_listen.as_ref() == Some(taken) {
            return refuse(format!(
                "{} and {} are the same; give metrics a port of their own, or turn it off, since \
                 the client port serves them in any case",
                resolved.describe("metrics_listen"),
                resolved.describe(key),
            ));
        }
    }
    Ok(())
}

fn check_certificate(resolved: &Resolved) -> Result<(), ConfigError> {
    let Some(files) = &resolved.config.node.client_tls else { return Ok(()) };
    if files.cert.as_os_str().is_empty() || files.key.as_os_str().is_empty() {
        return refuse(format!(
            "{} and {} belong together: give both, or none to leave the port unencrypted",
            resolved.describe("client_tls_cert"),
            resolved.describe("client_tls_key"),
        ));
    }
    Ok(())
}

fn check_members(resolved: &Resolved) -> Result<(), ConfigError> {
    let node = &resolved.config.node;
    let origin = resolved.origin("member");
    let mut addresses = BTreeMap::new();
    for (position, member) in node.members.iter().enumerate() {
        if node.members[..position].iter().any(|other| other.node_id == member.node_id) {
            return refuse(format!(
                "member {} is given twice ({origin}); give every node an id of its own",
                member.node_id
            ));
        }
        for address in [&member.client_addr, &member.peer_addr] {
            if let Some(other) = addresses.insert(address, member.node_id) {
                return refuse(format!(
                    "address {address} of member {} is taken by member {other} ({origin}); give \
                     every member a client and a peer address of its own",
                    member.node_id
                ));
            }
        }
    }
    if !node.members.iter().any(|member| member.node_id == node.node_id) {
        let ids: Vec<String> = node.members.iter().map(|m| m.node_id.to_string()).collect();
        return refuse(format!(
            "{} is not among the members {} ({origin}); add it to them, or give one of their ids",
            resolved.describe("node_id"),
            ids.join(", "),
        ));
    }
    Ok(())
}

fn check_log(resolved: &Resolved) -> Result<(), ConfigError> {
    match logging::mistaken_level(&resolved.config.log) {
        Some(mistake) => refuse(format!("{} cannot be used: {mistake}", resolved.describe("log"))),
        None => Ok(()),
    }
}

fn refuse(message: String) -> Result<(), ConfigError> {
    Err(ConfigError::Conflict(message))
}
