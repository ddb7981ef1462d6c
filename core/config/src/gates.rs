//! Feature gates: switches of features that are not settled yet (`--feature-gates A=true,B=false`).

use std::collections::BTreeMap;
use std::fmt;

use crate::go::{parse_bool, quote};

/// How settled a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Off unless asked for.
    Alpha,
    /// On unless refused.
    Beta,
}

/// One gate of the table.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// The name as typed.
    pub name: &'static str,
    /// How settled it is.
    pub stage: Stage,
}

impl Gate {
    /// Whether the gate is on when nothing is said about it.
    pub fn default(&self) -> bool {
        self.stage == Stage::Beta && self.name != ALL_BETA
    }
}

const ALL_ALPHA: &str = "AllAlpha";
const ALL_BETA: &str = "AllBeta";

const fn gate(name: &'static str, stage: Stage) -> Gate {
    Gate { name, stage }
}

/// Every gate of etcd 3.7.1, in order of name.
pub const GATES: &[Gate] = &[
    gate(ALL_ALPHA, Stage::Alpha),
    gate(ALL_BETA, Stage::Beta),
    gate("CompactHashCheck", Stage::Alpha),
    gate("FastLeaseKeepAlive", Stage::Beta),
    gate("InitialCorruptCheck", Stage::Alpha),
    gate("LeaseCheckpoint", Stage::Alpha),
    gate("LeaseCheckpointPersist", Stage::Alpha),
    gate("PriorityRequest", Stage::Alpha),
    gate("SetMemberLocalAddr", Stage::Alpha),
    gate("StopGRPCServiceOnDefrag", Stage::Alpha),
    gate("TxnModeWriteWithSharedBuffer", Stage::Beta),
];

/// The gates that were said to be on or off. Prints as `A=true,B=false`, in order of name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    said: BTreeMap<&'static str, bool>,
}

impl Gates {
    /// Whether `name` is on: as said, else by `AllAlpha` or `AllBeta`, else by its default.
    pub fn is_on(&self, name: &str) -> bool {
        let Some(gate) = GATES.iter().find(|gate| gate.name == name) else { return false };
        if let Some(on) = self.said.get(gate.name) {
            return *on;
        }
        let all = if gate.stage == Stage::Alpha { ALL_ALPHA } else { ALL_BETA };
        self.said.get(all).copied().unwrap_or_else(|| gate.default())
    }

    /// `name` was said to be on or off.
    pub fn says(&self, name: &str) -> bool {
        self.said.contains_key(name)
    }

    /// The gates in force that were said, or follow from `AllAlpha` or `AllBeta`: what the start line of etcd prints.
    pub fn explicit(&self) -> String {
        let follows = |gate: &&Gate| {
            let all = if gate.stage == Stage::Alpha { ALL_ALPHA } else { ALL_BETA };
            self.says(gate.name) || self.says(all)
        };
        let pairs =
            GATES.iter().filter(follows).map(|gate| format!("{}={}", gate.name, self.is_on(gate.name)));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// Adds what `text` says to what was said before.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), String> {
        let mut added = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim()),
                None => return Err(format!("missing bool value for {}", pair.trim())),
            };
            let Some(on) = parse_bool(value) else {
                let quoted = quote(value);
                return Err(format!(
                    "invalid value of {name}={value}, err: strconv.ParseBool: parsing {quoted}: invalid syntax"
                ));
            };
            added.insert(name, on);
        }
        for (name, on) in added {
            self.set(name, on)?;
        }
        Ok(())
    }

    /// Says that `name` is on or off.
    pub(crate) fn set(&mut self, name: &str, on: bool) -> Result<(), String> {
        let gate = GATES.iter().find(|gate| gate.name == name);
        let gate = gate.ok_or_else(|| format!("unrecognized feature gate: {name}"))?;
        self.said.insert(gate.name, on);
        Ok(())
    }
}

impl fmt::Display for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, on)) in self.said.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{name}={on}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_gates_win_over_the_group() {
        let mut gates = Gates::default();
        gates.add("AllAlpha=true,LeaseCheckpoint=false").unwrap();
        gates.add("AllBeta=F").unwrap();
        assert!(gates.is_on("CompactHashCheck") && !gates.is_on("LeaseCheckpoint"));
        assert!(!gates.is_on("FastLeaseKeepAlive") && Gates::default().is_on("FastLeaseKeepAlive"));
        assert_eq!(gates.to_string(), "AllAlpha=true,AllBeta=false,LeaseCheckpoint=false");
        assert!(gates.explicit().contains("StopGRPCServiceOnDefrag=true"));
    }

    #[test]
    fn bad_gates_are_refused_with_the_text_of_etcd() {
        for (text, error) in [
            ("Nope=true", "unrecognized feature gate: Nope"),
            ("LeaseCheckpoint", "missing bool value for LeaseCheckpoint"),
            (
                "LeaseCheckpoint=maybe",
                "invalid value of LeaseCheckpoint=maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            assert_eq!(Gates::default().add(text).unwrap_err(), error);
        }
    }
}
