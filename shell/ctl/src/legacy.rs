//! What older releases took and this one still answers for.

use utl::cli::Resolved;

/// The variable that once chose between the second and the third API.
pub(crate) const API_VARIABLE: &str = "ETCDCTL_API";

/// Commands of the second API, and what to use for them.
const V2_COMMANDS: [(&str, &str); 12] = [
    ("backup", "etcdctl snapshot save"),
    ("cluster-health", "etcdctl endpoint health --cluster"),
    ("exec-watch", "etcdctl watch KEY -- COMMAND"),
    ("ls", "etcdctl get --prefix --keys-only"),
    ("mk", "etcdctl txn"),
    ("mkdir", "etcdctl put (there are no directories)"),
    ("rm", "etcdctl del"),
    ("rmdir", "etcdctl del --prefix"),
    ("set", "etcdctl put"),
    ("setdir", "etcdctl put (there are no directories)"),
    ("update", "etcdctl put"),
    ("updatedir", "etcdctl put (there are no directories)"),
];

/// Adds to the refusal of a command of the second API what to use instead.
pub(crate) fn with_hint(resolved: Resolved, args: &[Vec<u8>]) -> Resolved {
    let Resolved::Refused { text, code } = resolved else { return resolved };
    let hint = V2_COMMANDS.iter().find(|(command, _)| {
        text.starts_with(&format!("Error: unknown command \"{command}\""))
            && args.iter().any(|arg| arg.as_slice() == command.as_bytes())
    });
    match hint {
        Some((command, instead)) => {
            let line = format!("\"{command}\" is a command of the API v2, which is gone; see `{instead}`.\n");
            Resolved::Refused { text: text + &line, code }
        }
        None => Resolved::Refused { text, code },
    }
}

/// A remark about the value of [`API_VARIABLE`], if it deserves one: 3 is what old scripts set, and true.
pub(crate) fn api_note(value: &str) -> Option<String> {
    match value {
        "" | "3" => None,
        "2" => Some(format!("Note: {API_VARIABLE}=2 has no effect: the API v2 is gone, the API v3 is used")),
        other => Some(format!("Note: {API_VARIABLE}={other} has no effect: the API v3 is used")),
    }
}
