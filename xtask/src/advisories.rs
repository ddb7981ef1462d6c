//! Checks the locked versions of our dependencies against `xtask/advisories.toml`.
//!
//! Works without a network. The list ages, so it carries a date, and an old one earns a warning.

use crate::process;
use anyhow::{Context, bail};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// From this age on, in days, the list is reported as old.
const AGE_DAYS_MAX: i64 = 180;

/// Lock files of the project: the workspace's, and those of the test client and the fuzz targets, not part of it.
const LOCK_FILES: &[&str] = &["Cargo.lock", "tests/interop/rust-client/Cargo.lock", "fuzz/Cargo.lock"];

/// The string values of one table of a TOML file, by key.
type Table = BTreeMap<String, String>;

/// Fails if a locked package is on the list; warns if the list is old.
///
/// # Errors
/// One line per hit goes to standard error; the error counts them.
pub fn run() -> anyhow::Result<()> {
    let list = std::fs::read_to_string(process::root().join("xtask/advisories.toml"))?;
    let date = tables(&list, "[list]").first().and_then(|table| table.get("date").cloned());
    let age_days = today()? - days_since_epoch(&date.context("advisories.toml has no date")?)?;
    if age_days > AGE_DAYS_MAX {
        eprintln!(
            "advisories: warning: xtask/advisories.toml is {age_days} days old; look through the database again"
        );
    }
    let mut hits = 0;
    for file in LOCK_FILES {
        let lock = std::fs::read_to_string(process::root().join(file))
            .with_context(|| format!("cannot read {file}"))?;
        for hit in hits_in(&lock, &list)? {
            eprintln!("advisories: {file}: {hit}");
            hits += 1;
        }
    }
    if hits > 0 {
        bail!("{hits} locked packages have a known advisory");
    }
    Ok(())
}

fn hits_in(lock: &str, list: &str) -> anyhow::Result<Vec<String>> {
    let packages = tables(lock, "[[package]]");
    let mut hits = Vec::new();
    for advisory in tables(list, "[[advisory]]") {
        let field = |key: &str| advisory.get(key).with_context(|| format!("an advisory without {key}"));
        let (id, name, affected, reason) =
            (field("id")?, field("name")?, field("affected")?, field("reason")?);
        for version in packages.iter().filter(|package| package.get("name") == Some(name)) {
            let version =
                version.get("version").with_context(|| format!("{name} is locked without a version"))?;
            if is_affected(version, affected).with_context(|| id.clone())? {
                hits.push(format!("{name} {version}: {id}, {reason}"));
            }
        }
    }
    Ok(hits)
}

/// The tables that `heading` opens, with those of their values that are strings: all that both files need.
fn tables(text: &str, heading: &str) -> Vec<Table> {
    let mut found: Vec<Table> = Vec::new();
    let mut is_inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_inside = line == heading;
            if is_inside {
                found.push(Table::new());
            }
        } else if let Some((key, value)) = line.split_once(" = ")
            && let Some(value) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'))
            && let Some(table) = found.last_mut().filter(|_| is_inside)
        {
            table.insert(key.to_owned(), value.to_owned());
        }
    }
    found
}

fn is_affected(version: &str, affected: &str) -> anyhow::Result<bool> {
    let version = numbers(version)?;
    for alternative in affected.split("||") {
        let mut is_hit = true;
        for comparison in alternative.split(',').map(str::trim).filter(|comparison| *comparison != "*") {
            let digits = comparison.trim_start_matches(['<', '>', '=']);
            let order = version.cmp(&numbers(digits)?);
            is_hit &= match &comparison[..comparison.len() - digits.len()] {
                "<" => order == Ordering::Less,
                "<=" => order != Ordering::Greater,
                "=" => order == Ordering::Equal,
                ">=" => order != Ordering::Less,
                ">" => order == Ordering::Greater,
                other => bail!("comparison {other:?} in {affected:?}"),
            };
        }
        if is_hit {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Major, minor and patch; what follows `-` or `+` is left out, so a pre-release counts as its release.
fn numbers(version: &str) -> anyhow::Result<[u64; 3]> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.').map(str::parse);
    let mut next = || parts.next().unwrap_or(Ok(0)).with_context(|| format!("version {version:?}"));
    Ok([next()?, next()?, next()?])
}

fn today() -> anyhow::Result<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(i64::try_from(now.as_secs() / 86_400)?)
}

/// Days from 1970-01-01 to `date`, written as `2026-11-24`; both in the Gregorian calendar.
fn days_since_epoch(date: &str) -> anyhow::Result<i64> {
    let parts: Vec<i64> =
        date.split('-').map(str::parse).collect::<Result<_, _>>().with_context(|| date.to_owned())?;
    let [year, month, day] = parts[..] else { bail!("{date:?} is not year-month-day") };
    // Count from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Ok(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "[list]\ndate = \"2026-01-02\"\n\n[[advisory]]\nid = \"R-1\"\nname = \"h2\"\n\
                        affected = \"<0.3.26 || >=0.4.0, <0.4.4\"\nreason = \"flood\"\n";

    fn lock(version: &str) -> String {
        format!(
            "version = 4\n\n[[package]]\nname = \"h2\"\nversion = \"{version}\"\ndependencies = [\n \"bytes\",\n]\n"
        )
    }

    #[test]
    fn an_affected_version_is_a_hit_and_a_fixed_one_is_not() {
        for (version, is_hit) in [
            ("0.3.25", true),
            ("0.3.26", false),
            ("0.4.0", true),
            ("0.4.3", true),
            ("0.4.4", false),
            ("1.0.0", false),
        ] {
            assert_eq!(!hits_in(&lock(version), LIST).unwrap().is_empty(), is_hit, "{version}");
        }
        assert_eq!(hits_in(&lock("0.4.3"), LIST).unwrap(), ["h2 0.4.3: R-1, flood"]);
    }

    #[test]
    fn a_star_means_every_version() {
        assert!(is_affected("9.9.9-rc.1", "*").unwrap());
        assert!(is_affected("1.0.0", "~1").is_err());
    }

    #[test]
    fn the_list_in_the_repository_is_readable() {
        let list = include_str!("../advisories.toml");
        assert!(hits_in(&lock("0.4.20"), list).unwrap().is_empty());
        assert!(tables(list, "[[advisory]]").len() > 30);
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(days_since_epoch("1970-01-01").unwrap(), 0);
        assert_eq!(days_since_epoch("2000-02-29").unwrap(), 11_016);
        assert_eq!(days_since_epoch("2026-11-24").unwrap(), 20_781);
        assert!(days_since_epoch("yesterday").is_err());
    }
}
