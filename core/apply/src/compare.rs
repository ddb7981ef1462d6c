//! The compares of transactions, over one key or a range of keys, in bounded steps.

use mvcc::{Budget, Found, KeyRange, Scan, View};
use proto::etcdserverpb::Compare;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// Whether `compare` holds on the state `before` a transaction.
pub(crate) fn holds(before: &View, compare: &Compare) -> mvcc::Result<bool> {
    let mut read = CompareRead::new(before, compare.clone());
    loop {
        if let Some(holds) = read.advance(before, &mut Budget::new(STEP_KEYS))? {
            return Ok(holds);
        }
    }
}

/// A compare under way. It holds if it does so for every live key of its range, and ends at the first one for which it
/// does not.
pub(crate) struct CompareRead {
    compare: Compare,
    scan: Scan,
    /// Keys found and not compared yet.
    found: std::vec::IntoIter<Found>,
    is_missing: bool,
}

impl CompareRead {
    pub fn new(before: &View, compare: Compare) -> Self {
        let scan = Scan::new(KeyRange::new(&compare.key, &compare.range_end), before.revision());
        Self { compare, scan, found: Vec::new().into_iter(), is_missing: true }
    }

    /// Goes on until `budget` is spent; always on the same view, whose revision is the one compared at.
    ///
    /// # Errors
    /// [`mvcc::Error::Overtaken`] if a compaction passed by; those of the file.
    pub fn advance(&mut self, before: &View, budget: &mut Budget) -> mvcc::Result<Option<bool>> {
        while !budget.is_spent() {
            if let Some(found) = self.found.next() {
                if !holds_for(before, &self.compare, Some(&found), budget)? {
                    return Ok(Some(false));
                }
            } else if !self.scan.is_done() {
                self.read_index(before, budget)?;
            } else if self.is_missing {
                // A missing key has no value, and zero for everything else.
                let is_value = self.compare.target == CompareTarget::Value as i32;
                return Ok(Some(!is_value && holds_for(before, &self.compare, None, budget)?));
            } else {
                return Ok(Some(true));
            }
        }
        Ok(None)
    }

    fn read_index(&mut self, before: &View, budget: &mut Budget) -> mvcc::Result<()> {
        let mut found = Vec::new();
        let seen = self.scan.step(before.index(), budget.keys(), |_, state| {
            found.push(state);
            ControlFlow::Continue(())
        });
        before.check_not_compacted(before.revision(), false)?;
        budget.spend(seen, 0);
        self.is_missing &= found.is_empty();
        self.found = found.into_iter();
        Ok(())
    }
}

fn holds_for(
    before: &View,
    compare: &Compare,
    found: Option<&Found>,
    budget: &mut Budget,
) -> mvcc::Result<bool> {
    let number = |present: fn(&Found) -> i64, wanted: i64| found.map_or(0, present).cmp(&wanted);
    let mut pair = || -> mvcc::Result<_> {
        let pair = found.map(|found| before.pair(found)).transpose()?.unwrap_or_default();
        budget.spend(0, pair.value.len());
        Ok(pair)
    };
    let union = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => {
            let wanted = if let Some(TargetUnion::Version(wanted)) = union { *wanted } else { 0 };
            number(|found| found.version, wanted)
        }
        Ok(CompareTarget::Create) => {
            let wanted = if let Some(TargetUnion::CreateRevision(wanted)) = union { *wanted } else { 0 };
            number(|found| found.created.main, wanted)
        }
        Ok(CompareTarget::Mod) => {
            let wanted = if let Some(TargetUnion::ModRevision(wanted)) = union { *wanted } else { 0 };
            number(|found| found.modified.main, wanted)
        }
        Ok(CompareTarget::Value) => {
            let wanted: &[u8] = if let Some(TargetUnion::Value(wanted)) = union { wanted } else { b"" };
            pair()?.value.as_ref().cmp(wanted)
        }
        Ok(CompareTarget::Lease) => {
            let wanted = if let Some(TargetUnion::Lease(wanted)) = union { *wanted } else { 0 };
            pair()?.lease.cmp(&wanted)
        }
        Err(_) => Ordering::Equal,
    };
    Ok(match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    })
}

/// Keys in a step of [`holds`].
const STEP_KEYS: usize = 1000;
