//! Who may do what: the one place where every request about keys is authorised (contract C14).
//!
//! Writes are authorised when they are applied, with the identity that travels in their entry; reads inside the view
//! that they read, so that a permission which is gone cannot serve a reader any more. Directories with users are refused
//! at the start, so today everybody may do everything.

use crate::answer::Refusal;
use proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestHeader, TxnRequest};

/// Who asks. Every command carries one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User name, empty without auth.
    pub user: String,
    /// Revision of the auth store that the user was looked up at.
    pub auth_revision: u64,
}

impl From<&RequestHeader> for Identity {
    fn from(header: &RequestHeader) -> Self {
        Self { user: header.username.clone(), auth_revision: header.auth_revision }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Read a range.
    Range(&'a RangeRequest),
    /// Put a key.
    Put(&'a PutRequest),
    /// Delete a range.
    Delete(&'a DeleteRangeRequest),
    /// All of a transaction, both branches.
    Txn(&'a TxnRequest),
}

/// Users, roles and permissions as of one state: part of a view, immutable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth(());

impl Auth {
    /// Whether `identity` may do that.
    ///
    /// # Errors
    /// The refusal that it earns; none while auth does not exist.
    pub fn authorise(&self, _identity: &Identity, _access: Access<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}
