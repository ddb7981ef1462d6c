//! Where lines go.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use crate::Error;

/// A place that lines are written to.
pub(crate) type Output = Box<dyn Write + Send>;

/// Opens the outputs called `names`, each place once.
pub(crate) fn open(names: &[String]) -> Result<Vec<Output>, Error> {
    if names.iter().any(|name| name == "/dev/null") {
        return Ok(Vec::new());
    }
    let mut places: Vec<&str> =
        names.iter().map(|name| if name == "default" { "stderr" } else { name }).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(open_one).collect()
}

fn open_one(place: &str) -> Result<Output, Error> {
    match place {
        "stderr" => Ok(Box::new(io::stderr())),
        "stdout" => Ok(Box::new(io::stdout())),
        "systemd/journal" => Err(Error::Journal),
        path => {
            let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path);
            let file = file.map_err(|source| Error::Open { path: path.to_owned(), source })?;
            Ok(Box::new(file))
        }
    }
}

const FILE_MODE: u32 = 0o644;
