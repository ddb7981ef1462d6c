//! What simulated clients ask for, and what they are answered.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, DeleteRangeRequest, DeleteRangeResponse,
    InternalRaftRequest, PutRequest, PutResponse, RequestHeader, TxnRequest, TxnResponse,
};
use types::{MemberId, RequestId};

/// A request that goes through the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Put a pair.
    Put(PutRequest),
    /// Delete a range.
    Delete(DeleteRangeRequest),
    /// A transaction.
    Txn(TxnRequest),
    /// Compact the history.
    Compact(CompactionRequest),
    /// Take back the alarm that the space quota raised for this member.
    Disarm(MemberId),
}

impl Request {
    /// The payload of its log entry.
    pub fn encode(&self, id: RequestId) -> Bytes {
        let header = Some(RequestHeader { id: id.0, ..RequestHeader::default() });
        let mut entry = InternalRaftRequest { header, ..InternalRaftRequest::default() };
        match self.clone() {
            Self::Put(put) => entry.put = Some(put),
            Self::Delete(delete) => entry.delete_range = Some(delete),
            Self::Txn(txn) => entry.txn = Some(txn),
            Self::Compact(compaction) => entry.compaction = Some(compaction),
            Self::Disarm(member) => {
                entry.alarm = Some(AlarmRequest {
                    action: AlarmAction::Deactivate as i32,
                    member_id: member.0,
                    alarm: AlarmType::Nospace as i32,
                });
            }
        }
        entry.encode_to_vec().into()
    }

    /// Whether its answer waits for work that goes on behind its place in the log.
    pub fn is_answered_late(&self) -> bool {
        matches!(self, Self::Compact(CompactionRequest { physical: true, .. }))
    }

    /// Whether the space quota counts it.
    pub fn needs_space(&self) -> bool {
        match self {
            Self::Put(_) => true,
            Self::Txn(txn) => txn_puts(txn),
            Self::Delete(_) | Self::Compact(_) | Self::Disarm(_) => false,
        }
    }

    /// Reads the body of the answer to this request.
    ///
    /// # Errors
    /// In words, if it is not one.
    pub fn decode_answer(&self, body: Bytes) -> Result<Response, String> {
        fn read<M: Message + Default>(body: Bytes) -> Result<M, String> {
            M::decode(body).map_err(|error| format!("the answer does not decode: {error}"))
        }
        Ok(match self {
            Self::Put(_) => Response::Put(read::<PutResponse>(body)?),
            Self::Delete(_) => Response::Delete(read::<DeleteRangeResponse>(body)?),
            Self::Txn(_) => Response::Txn(read::<TxnResponse>(body)?),
            Self::Compact(_) if body.is_empty() => Response::Compact,
            Self::Compact(_) => return Err("the answer to a compaction has a body".into()),
            Self::Disarm(_) => {
                Response::Disarm { was_active: !read::<AlarmResponse>(body)?.alarms.is_empty() }
            }
        })
    }
}

/// Whether a branch of the transaction, or of one inside it, puts anything.
fn txn_puts(txn: &TxnRequest) -> bool {
    use proto::etcdserverpb::request_op::Request as Operation;
    txn.success.iter().chain(&txn.failure).any(|operation| match &operation.request {
        Some(Operation::RequestPut(_)) => true,
        Some(Operation::RequestTxn(inner)) => txn_puts(inner),
        _ => false,
    })
}

/// A success, without its header.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To [`Request::Put`].
    Put(PutResponse),
    /// To [`Request::Delete`].
    Delete(DeleteRangeResponse),
    /// To [`Request::Txn`].
    Txn(TxnResponse),
    /// To [`Request::Compact`].
    Compact,
    /// To [`Request::Disarm`].
    Disarm {
        /// Whether there was an alarm.
        was_active: bool,
    },
}
