//! A failure of every disk operation, once each.

use super::{BOTH, Crash, Finding, Report, Stop, Trial, Watch, Workload, guarded};
use crate::history::History;
use std::fmt::{self, Display};
use stdx::fnv;
use stdx::prng::Prng;
use vfs::ErrorKind;
use vfs::mem::{Op, OpKind};

/// One failure of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPoint {
    /// The operation that fails.
    pub op: u64,
    /// With what.
    pub kind: ErrorKind,
}

impl FaultPoint {
    /// The kind that [`Display`] shows as `name`.
    pub fn parse_kind(name: &str) -> Option<ErrorKind> {
        KINDS.into_iter().find(|kind| kind_name(*kind) == name)
    }
}

impl Display for FaultPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--op {} --fault {}", self.op, kind_name(self.kind))
    }
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NoSpace => "no-space",
        _ => "io-error",
    }
}

/// The failures of a device and of a full disk.
const KINDS: [ErrorKind; 2] = [ErrorKind::Other, ErrorKind::NoSpace];

/// Which failures to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Every how many operations one fails: 1 for all of them.
    pub every: u64,
    /// This failure only, to replay a finding.
    pub only: Option<FaultPoint>,
}

impl FaultPlan {
    /// Every operation, with every kind of failure.
    pub const ALL: Self = Self { every: 1, only: None };

    fn points(&self, op: u64) -> impl Iterator<Item = FaultPoint> + '_ {
        let is_chosen = op.is_multiple_of(self.every) || self.only.is_some();
        let kinds = KINDS.into_iter().filter(move |_| is_chosen);
        kinds
            .map(move |kind| FaultPoint { op, kind })
            .filter(|point| self.only.is_none_or(|only| only == *point))
    }
}

/// Lets operations of `workload` fail, and recovers from what a kill or the loss of everything unsynced leaves.
///
/// # Errors
/// The first [`Finding`].
pub fn enumerate_faults<W: Workload>(
    workload: &W,
    plan: &FaultPlan,
    watch: Watch<'_>,
) -> Result<Report, Finding> {
    let disk = workload.prepare();
    disk.record_trace();
    let mut history = History::default();
    guarded(|| workload.run(&disk, &mut history)).map_err(Finding::Run)?;
    let mut report =
        Report { ops: disk.trace().len() as u64, requests: history.len() as u64, ..Report::default() };
    for op in disk.trace() {
        watch(op.number, &report);
        for point in plan.points(op.number) {
            guarded(|| fail(workload, &op, point, &mut report)).map_err(|what| Finding::Fault {
                point,
                op: op.clone(),
                what,
            })?;
        }
    }
    Ok(report)
}

fn fail<W: Workload>(workload: &W, op: &Op, point: FaultPoint, report: &mut Report) -> Result<(), String> {
    let disk = workload.prepare();
    disk.fail_at(op.number, point.kind);
    let mut history = History::default();
    let outcome = guarded(|| workload.run(&disk, &mut history));
    match &outcome {
        // Stopping is right, and so is going on if nothing needed the operation; the check tells.
        Ok(()) => {}
        Err(Stop::Halted(reason)) if is_one_line(reason) => {}
        Err(stop) => return Err(format!("the run ended with {stop:?}")),
    }
    let requests = history.at(disk.op_count());
    for crash in BOTH {
        // What a failed sync left in the cache can vanish later, whatever a recovery syncs: no program can do better
        // than stop, so a power loss behind it is not held against the recovery.
        let in_doubt = matches!(op.kind, OpKind::SyncData | OpKind::SyncDir) && crash == Crash::Kill;
        let again = if in_doubt { &BOTH[..1] } else { &BOTH };
        let rng = Prng::new(fnv::fnv1a_64(format!("{point} {crash}").as_bytes()));
        let mut trial = Trial { workload, requests: &requests, report, rng };
        trial.report.crashes += 1;
        let found = crash.strike(&disk, &mut Prng::new(0));
        trial
            .recover(&found, again)
            .map_err(|what| format!("the run ended with {outcome:?}; after {crash}: {what}"))?;
    }
    Ok(())
}

/// What an operator can read in a log.
pub(crate) fn is_one_line(reason: &str) -> bool {
    !reason.is_empty() && !reason.contains('\n')
}
