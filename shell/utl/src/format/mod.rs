//! How etcd's tools write numbers, strings and tables, and read them from the command line: Go's way.

mod duration;
mod integer;
mod quote;
mod size;
mod table;

pub use duration::{duration_text, parse_duration};
pub use integer::{parse_bool, parse_int, parse_uint};
pub use quote::{quote, unquote_prefix};
pub use size::size_text;
pub use table::Table;
