//! Reads that go on in steps, on a view that is not held for ever.

use crate::local::{Local, read_status};
use grpc::Status;
use mvcc::Error;
use node::View;
use tokio::task::yield_now;
use tokio::time::Instant;

/// Does a read step by step; other requests of the thread go between them (contract C9). The view is given up when it
/// outlives its budget (contract C4).
///
/// # Errors
/// Those of a step, and [`Error::Outlived`].
pub(crate) async fn in_steps<T, E: From<Error>>(
    local: &Local,
    view: &View,
    mut step: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    let began = Instant::now();
    loop {
        if let Some(answer) = step()? {
            return Ok(answer);
        }
        yield_now().await;
        // Without a newer view there is nothing that this one holds up.
        if let Ok(newest) = local.view() {
            let age_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            local.member().limits.view.check(age_ns, &view.state.store, &newest.state.store)?;
        }
    }
}

/// How often a read was begun anew.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    has_outlived: bool,
}

impl Restarts {
    /// Decides after a read has failed: it is begun again on a fresh view, or it ends.
    ///
    /// A compaction that passes by is followed by a newer view, so that ends. A view that has outlived its budget is
    /// replaced once: what takes as long again would never end.
    ///
    /// # Errors
    /// How the call ends.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Status> {
        let starts_again = match error {
            Error::Overtaken => true,
            Error::Outlived => !std::mem::replace(&mut self.has_outlived, true),
            _ => false,
        };
        if !starts_again {
            return Err(read_status(error));
        }
        // The next view comes from another thread: others of this one go first.
        yield_now().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Harness;
    use crate::kv;
    use mvcc::ViewBudget;
    use proto::etcdserverpb::{CompactionRequest, PutRequest};
    use std::time::Duration;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_read_gives_up_a_view_that_it_has_kept_too_long() {
        let harness = Harness::new(0);
        let view = harness.local.view().unwrap();
        let outlives = async |time| {
            let mut steps = 0;
            let read = in_steps(&harness.local, &view, || {
                steps += 1;
                Ok::<_, Error>((steps > 3).then_some(()))
            });
            tokio::join!(read, advance(time)).0
        };
        let age = Duration::from_nanos(ViewBudget::default().age_ns);
        assert!(outlives(age).await.is_ok());
        assert!(matches!(outlives(age + Duration::from_millis(1)).await, Err(Error::Outlived)));
    }

    #[tokio::test]
    async fn a_view_is_begun_anew_once_and_after_every_compaction() {
        let mut restarts = Restarts::default();
        for _ in 0..3 {
            restarts.after(Error::Overtaken).await.unwrap();
        }
        restarts.after(Error::Outlived).await.unwrap();
        let ended = restarts.after(Error::Outlived).await.unwrap_err();
        assert_eq!(ended.message, api::error::TIMEOUT.text);
        let refused = Restarts::default().after(Error::Compacted).await.unwrap_err();
        assert_eq!(refused.message, api::error::COMPACTED.text);
    }

    #[tokio::test(start_paused = true)]
    async fn a_view_may_hold_up_so_many_bytes_of_the_file() {
        let mut harness = Harness::new(0);
        let local = harness.local.clone();
        let before = local.view().unwrap();
        for key in ["a", "b", "c", "d"] {
            let put = PutRequest { key: key.into(), value: vec![7; 500_000].into(), ..PutRequest::default() };
            harness.run(kv::put(put, local.clone())).await.unwrap();
        }
        // Commits what is before it.
        let compaction = CompactionRequest { revision: 2, physical: true };
        harness.run(kv::compact(compaction, local.clone())).await.unwrap();
        let newest = local.view().unwrap();
        let check = |growth_bytes| {
            let budget = ViewBudget { age_ns: 0, growth_bytes };
            budget.check(0, &before.state.store, &newest.state.store)
        };
        assert!(matches!(check(1_900_000), Err(Error::Outlived)));
        assert!(check(4_000_000).is_ok());
    }
}
