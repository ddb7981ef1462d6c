//! Flags of the cluster that the member founds or joins.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Clustering, name, kind, default, help)
}

pub(super) const FLAGS: &[Flag] = &[
    flag(
        "initial-advertise-peer-urls",
        Kind::Urls,
        "http://localhost:2380",
        "Peer URLs of this member, as told to the others.",
    ),
    flag(
        "initial-cluster",
        Kind::Text,
        "default=http://localhost:2380",
        "Members of a new cluster, as name=url,name=url.",
    ),
    flag(
        "initial-cluster-state",
        Kind::OneOf(&["new", "existing"]),
        "new",
        "'new' founds a cluster, 'existing' joins one. Without effect once the member has started.",
    ),
    flag(
        "initial-cluster-token",
        Kind::Text,
        "etcd-cluster",
        "Word that keeps clusters apart that are founded from the same URLs.",
    ),
    flag(
        "advertise-client-urls",
        Kind::Urls,
        "http://localhost:2379",
        "Client URLs of this member, as told to everyone.",
    ),
    flag("discovery-token", Kind::Text, "", "Token of the cluster at the discovery service.")
        .key("discovery-config.token")
        .not_yet(),
    flag("discovery-endpoints", Kind::Set, "", "Endpoints of the etcd that serves discovery.")
        .key("discovery-config.client.endpoints")
        .not_yet(),
    flag("discovery-dial-timeout", Kind::Duration, "2s", "Time limit to connect to the discovery service.")
        .key("discovery-config.client.dial-timeout")
        .not_yet(),
    flag(
        "discovery-request-timeout",
        Kind::Duration,
        "5s",
        "Time limit of a request to the discovery service.",
    )
    .key("discovery-config.client.request-timeout")
    .not_yet(),
    flag(
        "discovery-keepalive-time",
        Kind::Duration,
        "2s",
        "Time between two pings of the discovery service.",
    )
    .key("discovery-config.client.keepalive-time")
    .not_yet(),
    flag("discovery-keepalive-timeout", Kind::Duration, "6s", "Wait for the answer to such a ping.")
        .key("discovery-config.client.keepalive-timeout")
        .not_yet(),
    flag("discovery-insecure-transport", Kind::Bool, "true", "Connect to the discovery service without TLS.")
        .key("discovery-config.client.secure.insecure-transport")
        .not_yet(),
    flag(
        "discovery-insecure-skip-tls-verify",
        Kind::Bool,
        "false",
        "Do not verify the discovery service (for tests only).",
    )
    .key("discovery-config.client.secure.insecure-skip-verify")
    .not_yet(),
    flag("discovery-cert", Kind::Text, "", "Certificate to show to the discovery service.")
        .key("discovery-config.client.secure.cert")
        .not_yet(),
    flag("discovery-key", Kind::Text, "", "Key of that certificate.")
        .key("discovery-config.client.secure.key")
        .not_yet(),
    flag("discovery-cacert", Kind::Text, "", "Authority that the discovery service is verified with.")
        .key("discovery-config.client.secure.cacert")
        .not_yet(),
    flag("discovery-user", Kind::Text, "", "User at the discovery service, as name or name:password.")
        .key("discovery-config.client.auth.username")
        .not_yet(),
    flag("discovery-password", Kind::Text, "", "Password of that user.")
        .key("discovery-config.client.auth.password")
        .not_yet(),
    flag(
        "discovery-fallback",
        Kind::OneOf(&["exit", "proxy"]),
        "exit",
        "What to do when discovery fails: exit.",
    )
    .not_in_file()
    .not_yet(),
    flag("discovery-srv", Kind::Text, "", "DNS domain whose SRV records name the members.").not_yet(),
    flag("discovery-srv-name", Kind::Text, "", "Suffix of the service name asked for in DNS.").not_yet(),
    flag("strict-reconfig-check", Kind::Bool, "true", "Refuse member changes that would lose the quorum.")
        .not_yet(),
    flag(
        "pre-vote",
        Kind::Bool,
        "true",
        "Ask before an election, so that a returning member does not disturb the leader.",
    )
    .not_yet(),
    flag("auto-compaction-retention", Kind::Text, "0", "History to keep when compacting by itself (0: off).")
        .not_yet(),
    flag(
        "auto-compaction-mode",
        Kind::Text,
        "periodic",
        "Unit of the retention: 'periodic' (hours, or a span such as 5m) or 'revision'.",
    )
    .not_yet(),
    flag(
        "v2-deprecation",
        Kind::SomeOf(&["write-only", "write-only-skip-check", "write-only-drop-data", "gone"]),
        "write-only",
        "Of the second API's store, which is gone: any value counts as the default. To go in 3.8.",
    ),
];
