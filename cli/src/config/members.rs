//! Members as text: `1=CLIENT_ADDR/PEER_ADDR,2=...`, the form of the flag and of the environment.

use holdfast_server::MemberSettings;

/// What the text must look like, for messages.
pub(crate) const ALLOWED: &str = "ID=CLIENT_ADDR/PEER_ADDR, each address as host:port";

/// Reads members, separated by commas. `None` if the text is not of the right form.
pub(crate) fn parse(text: &str) -> Option<Vec<MemberSettings>> {
    text.split(',').map(|member| parse_one(member.trim())).collect()
}

fn parse_one(text: &str) -> Option<MemberSettings> {
    let (id, addresses) = text.split_once('=')?;
    let (client_addr, peer_addr) = addresses.split_once('/')?;
    let node_id = id.parse().ok().filter(|id| *id > 0)?;
    (is_address(client_addr) && is_address(peer_addr)).then(|| MemberSettings {
        node_id,
        client_addr: client_addr.into(),
        peer_addr: peer_addr.into(),
    })
}

/// Whether the text is `host:port`, with a host and a port that is not zero. An IPv6 address
/// stands in brackets.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    let plain = !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether others could not reach this listening address under that name.
pub(crate) fn is_wildcard(address: &str) -> bool {
    address.starts_with("0.0.0.0:") || address.starts_with("[::]:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_or_refused_as_a_whole() {
        let check = |text: &str, expect: Option<&[u64]>| {
            let ids = parse(text).map(|members| members.iter().map(|m| m.node_id).collect());
            assert_eq!(ids, expect.map(<[u64]>::to_vec), "{text}");
        };
        check("1=a:1/a:2", Some(&[1]));
        check("1=a:1/a:2, 7=[::1]:1/b-c.d:2", Some(&[1, 7]));
        check("", None);
        check("0=a:1/a:2", None);
        check("x=a:1/a:2", None);
        check("1=a:1", None);
        check("1=a:1/a", None);
        check("1=a:1/a:0", None);
        check("1=a:1/:5", None);
        check("1=a:1/a:65536", None);
        check("1=http://a:1/a:2", None);
        check("1=a:1/a:2,", None);
    }
}
