//! What can go wrong outside of a call.

/// A failure of the network layer itself; failures of calls are [`Status`](crate::Status) values.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system gave no thread or no event queue.
    #[error("start net thread {name}")]
    Start {
        /// Name of the thread.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A bound listener could not be attached to the runtime.
    #[error("listen on {address}")]
    Listen {
        /// The address it is bound to.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
}
