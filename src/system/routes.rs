//! Which IP family this host has a default route for, as the ECS agent decides whether the host is IPv6-only.
//!
//! A default route counts when it is up and has a gateway, in the main routing table. `/proc/self/net` is read
//! rather than `/proc/net`, which a hardened unit may not have.

use crate::files;
use std::path::Path;

const IPV4_ROUTES: &str = "/proc/self/net/route";
const IPV6_ROUTES: &str = "/proc/self/net/ipv6_route";

/// `RTF_UP` and `RTF_GATEWAY` of the kernel's `route.h`.
const UP_WITH_GATEWAY: u32 = 0x1 | 0x2;

/// Whether this host has a default route, for IPv4 and for IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DefaultRoutes {
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
}

impl DefaultRoutes {
    /// A table that cannot be read has no default route, as on a host without IPv6.
    pub(crate) fn read() -> Self {
        let table = |path| files::read(Path::new(path)).unwrap_or_default();
        DefaultRoutes::parse(&table(IPV4_ROUTES), &table(IPV6_ROUTES))
    }

    /// What the kernel's two tables say.
    pub(crate) fn parse(ipv4: &str, ipv6: &str) -> Self {
        DefaultRoutes { ipv4: ipv4.lines().any(is_ipv4_default), ipv6: ipv6.lines().any(is_ipv6_default) }
    }

    /// Whether only IPv6 leaves this host.
    pub(crate) fn ipv6_only(self) -> bool {
        self.ipv6 && !self.ipv4
    }
}

/// A line of `/proc/self/net/route`: interface, destination, gateway, flags, three counts, mask.
fn is_ipv4_default(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [_, destination, _, flags, _, _, _, mask, ..] => {
            is_zero(destination) && is_zero(mask) && has_gateway(flags)
        }
        _ => false,
    }
}

/// A line of `/proc/self/net/ipv6_route`: destination and length, source and length, next hop, three numbers, flags.
fn is_ipv6_default(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    match fields.as_slice() {
        [destination, length, _, _, _, _, _, _, flags, ..] => {
            is_zero(destination) && is_zero(length) && has_gateway(flags)
        }
        _ => false,
    }
}

fn is_zero(hex: &str) -> bool {
    hex.bytes().all(|b| b == b'0')
}

fn has_gateway(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP_WITH_GATEWAY == UP_WITH_GATEWAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_default_route_has_no_destination_and_a_gateway() {
        for (line, default) in [
            ("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT", false),
            ("eth0\t00000000\t010200C0\t0003\t0\t0\t512\t00000000\t0\t0\t0", true),
            ("eth0\t00000000\t010200C0\t0007\t0\t0\t0\t00000000\t0\t0\t0", true),
            ("eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0", false),
            // Half of all addresses, a device without a gateway, a link that is down, a route that rejects.
            ("tun0\t00000000\t0108000A\t0003\t0\t0\t0\t00000080\t0\t0\t0", false),
            ("tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0", false),
            ("eth0\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0", false),
            ("*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0", false),
            ("eth0\t00000000\t010200C0\tzz\t0\t0\t0\t00000000\t0\t0\t0", false),
            ("eth0\t00000000", false),
            ("", false),
        ] {
            assert_eq!(is_ipv4_default(line), default, "{line}");
        }
    }

    #[test]
    fn an_ipv6_default_route_has_no_destination_and_a_gateway() {
        let zero = "0".repeat(32);
        for (line, default) in [
            (
                format!("{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 1 0 00000003 eth0"),
                true,
            ),
            // Learned from a router advertisement, with a lifetime.
            (
                format!("{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 00450003 eth0"),
                true,
            ),
            (format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo"), false),
            (format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001 tun0"), false),
            (
                format!("{zero} 01 {zero} 00 fd000000000000000000000000000001 00000400 1 0 00000003 eth0"),
                false,
            ),
            (format!("{zero} 80 {zero} 00 {zero} 00000000 00000004 00000000 80200001 lo"), false),
            (format!("fd{} 40 {zero} 00 {zero} 00000100 1 0 00000003 eth0", "0".repeat(30)), false),
            (zero.clone(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_ipv6_default(&line), default, "{line}");
        }
    }

    #[test]
    fn only_a_host_without_an_ipv4_default_route_is_ipv6_only() {
        let only = |ipv4, ipv6| DefaultRoutes { ipv4, ipv6 }.ipv6_only();
        assert_eq!(
            [only(false, true), only(true, true), only(true, false), only(false, false)],
            [true, false, false, false]
        );
    }
}
