//! Compaction requests: the part that is decided at apply. Index and file follow in jobs (contract C4).

use crate::alarm::{AlarmKind, is_active};
use crate::answer::{Answer, Refusal};
use crate::applier::{Applier, Effect};
use backend::{Bucket, META_SCHEDULED_COMPACT};
use bytes::Bytes;
use proto::etcdserverpb::CompactionRequest;
use types::{RequestId, Revision};

impl Applier {
    /// `None` if the reply comes later, when the deletes are done.
    pub(crate) fn compaction(
        &mut self,
        request: &CompactionRequest,
        id: RequestId,
    ) -> Option<Result<Answer, Refusal>> {
        if is_active(&self.alarms, AlarmKind::Corrupt) {
            return Some(Err(Refusal::Corrupt));
        }
        match self.store.compact(request.revision) {
            Ok(()) => {}
            Err(mvcc::Error::FutureRevision) => return Some(Err(Refusal::FutureRevision)),
            Err(_) => return Some(Err(Refusal::Compacted)),
        }
        let key = Revision::new(request.revision, 0).to_key();
        self.buffer.put(Bucket::Meta, META_SCHEDULED_COMPACT, Bytes::copy_from_slice(&key));
        let waits = request.physical.then_some(id);
        self.effects.push(Effect::Compact { revision: request.revision, waits });
        if waits.is_some() { None } else { Some(Ok(self.answer(Vec::new()))) }
    }
}
