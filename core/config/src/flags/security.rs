//! Flags of certificates, origins and logins.

use crate::flag::{Flag, Kind, Section};

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Security, name, kind, default, help)
}

const fn auth(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag::new(Section::Auth, name, kind, default, help)
}

pub(super) const FLAGS: &[Flag] = &[
    flag("cert-file", Kind::Text, "", "Certificate shown to clients.")
        .key("client-transport-security.cert-file")
        .not_yet(),
    flag("key-file", Kind::Text, "", "Key of that certificate.")
        .key("client-transport-security.key-file")
        .not_yet(),
    flag("client-cert-auth", Kind::Bool, "false", "Demand a certificate from clients.")
        .key("client-transport-security.client-cert-auth")
        .not_yet(),
    flag("client-cert-file", Kind::Text, "", "Certificate for own calls to the client port.")
        .key("client-transport-security.client-cert-file")
        .not_yet(),
    flag("client-key-file", Kind::Text, "", "Key of that certificate.")
        .key("client-transport-security.client-key-file")
        .not_yet(),
    flag("client-crl-file", Kind::Text, "", "List of revoked certificates of clients.")
        .not_in_file()
        .not_yet(),
    flag(
        "client-cert-allowed-hostname",
        Kind::List,
        "",
        "Names of which a client's certificate must carry one.",
    )
    .key("client-transport-security.allowed-hostname")
    .not_yet(),
    flag("trusted-ca-file", Kind::Text, "", "Authority that certificates of clients are verified with.")
        .key("client-transport-security.trusted-ca-file")
        .not_yet(),
    flag("auto-tls", Kind::Bool, "false", "Serve clients with a certificate made at start.")
        .key("client-transport-security.auto-tls")
        .not_yet(),
    flag("peer-cert-file", Kind::Text, "", "Certificate shown to other members.")
        .key("peer-transport-security.cert-file")
        .not_yet(),
    flag("peer-key-file", Kind::Text, "", "Key of that certificate.")
        .key("peer-transport-security.key-file")
        .not_yet(),
    flag("peer-client-cert-auth", Kind::Bool, "false", "Demand a certificate from other members.")
        .key("peer-transport-security.client-cert-auth")
        .not_yet(),
    flag(
        "peer-client-cert-file",
        Kind::Text,
        "",
        "Certificate for calls to other members, where it is another one.",
    )
    .key("peer-transport-security.client-cert-file")
    .not_yet(),
    flag("peer-client-key-file", Kind::Text, "", "Key of that certificate.")
        .key("peer-transport-security.client-key-file")
        .not_yet(),
    flag("peer-trusted-ca-file", Kind::Text, "", "Authority that certificates of members are verified with.")
        .key("peer-transport-security.trusted-ca-file")
        .not_yet(),
    flag(
        "peer-cert-allowed-cn",
        Kind::List,
        "",
        "Common names of which a member's certificate must carry one.",
    )
    .key("peer-transport-security.allowed-cn")
    .not_yet(),
    flag(
        "peer-cert-allowed-hostname",
        Kind::List,
        "",
        "Names of which a member's certificate must carry one.",
    )
    .key("peer-transport-security.allowed-hostname")
    .not_yet(),
    flag("peer-auto-tls", Kind::Bool, "false", "Serve other members with a certificate made at start.")
        .key("peer-transport-security.auto-tls"),
    flag("self-signed-cert-validity", Kind::Uint, "1", "Years that certificates made at start are valid.")
        .not_yet(),
    flag("peer-crl-file", Kind::Text, "", "List of revoked certificates of members.").not_in_file().not_yet(),
    flag(
        "cipher-suites",
        Kind::List,
        "",
        "Cipher suites allowed with TLS 1.2, by their IANA names (empty: the usual ones).",
    )
    .not_yet(),
    flag("cors", Kind::Origins, "*", "Origins that browsers may call from (empty or *: all)."),
    flag("host-whitelist", Kind::Set, "*", "Host names accepted in plain HTTP requests (empty or *: all).")
        .not_yet(),
    flag("tls-min-version", Kind::Text, "TLS1.2", "Lowest version of TLS: TLS1.2 or TLS1.3.").not_yet(),
    flag("tls-max-version", Kind::Text, "", "Highest version of TLS: TLS1.2 or TLS1.3 (empty: the newest).")
        .not_yet(),
    auth("auth-token", Kind::Text, "simple", "Kind of token and its options: 'simple' or 'jwt,...'.")
        .not_yet(),
    auth("bcrypt-cost", Kind::Uint, "10", "Cost of hashing a password, 4 to 31.").not_yet(),
    auth("auth-token-ttl", Kind::Uint, "300", "Seconds that a simple token lives.").not_yet(),
];
