//! The voters and learners of consensus, as the backend holds them from 3.5 on.

use crate::{Result, from_json};
use proto::raftpb::ConfState;
use serde::Deserialize;
use std::fmt::Write as _;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfStateJson {
    voters: Option<Vec<u64>>,
    learners: Option<Vec<u64>>,
    voters_outgoing: Option<Vec<u64>>,
    learners_next: Option<Vec<u64>>,
    auto_leave: Option<bool>,
}

/// Writes the value of `confState` in the bucket `meta`, as Go does: empty lists are left out, `auto_leave` never.
///
/// Source: `docs/formats/backend.md 1.2`.
pub fn conf_state_to_json(conf_state: &ConfState) -> String {
    let mut out = String::from("{");
    for (name, ids) in [
        ("voters", &conf_state.voters),
        ("learners", &conf_state.learners),
        ("voters_outgoing", &conf_state.voters_outgoing),
        ("learners_next", &conf_state.learners_next),
    ] {
        if !ids.is_empty() {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            write!(out, "\"{name}\":[{}],", ids.join(",")).expect("a string takes everything");
        }
    }
    write!(out, "\"auto_leave\":{}}}", conf_state.auto_leave).expect("a string takes everything");
    out
}

/// Reads the value of `confState` in every form that a release has written.
///
/// It may be older than the members (`etcdutl snapshot restore` leaves it alone), so these are what counts.
///
/// # Errors
/// [`Error::Json`](crate::Error::Json).
pub fn conf_state_from_json(json: &[u8]) -> Result<ConfState> {
    let read: ConfStateJson = from_json("conf state", json)?;
    Ok(ConfState {
        voters: read.voters.unwrap_or_default(),
        learners: read.learners.unwrap_or_default(),
        voters_outgoing: read.voters_outgoing.unwrap_or_default(),
        learners_next: read.learners_next.unwrap_or_default(),
        auto_leave: read.auto_leave.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_go() {
        let json =
            r#"{"voters":[13668033151171901709],"learners":[12843322262333889296],"auto_leave":false}"#;
        let conf_state = conf_state_from_json(json.as_bytes()).unwrap();
        assert_eq!(conf_state.learners, [12_843_322_262_333_889_296]);
        assert_eq!(conf_state_to_json(&conf_state), json);
        let all =
            r#"{"voters":[1,2],"learners":[3],"voters_outgoing":[4],"learners_next":[5],"auto_leave":true}"#;
        assert_eq!(conf_state_to_json(&conf_state_from_json(all.as_bytes()).unwrap()), all);
        assert_eq!(conf_state_from_json(b"{}"), Ok(ConfState::default()));
        assert!(conf_state_from_json(b"{\"voters\":[1.5]}").is_err());
    }
}
