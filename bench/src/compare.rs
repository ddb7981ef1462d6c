//! Two servers in turn, and the table of medians.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::load::{Kind, Load, read_once};
use crate::process::{Server, resident_bytes};
use crate::{Compare, Shape};

/// Runs pairs, the first of a pair alternating, and prints the table.
pub(crate) fn run(compare: &Compare) -> anyhow::Result<()> {
    std::fs::create_dir_all(&compare.dir).with_context(|| format!("create {}", compare.dir.display()))?;
    let mut ours = Figures::default();
    let mut theirs = Figures::default();
    for round in 0..compare.rounds {
        let mut pair = [(&compare.ours, &mut ours), (&compare.theirs, &mut theirs)];
        if round % 2 == 1 {
            pair.reverse();
        }
        for (program, figures) in pair {
            eprintln!("round {} of {}: {}", round + 1, compare.rounds, program.display());
            measure(program, compare, figures).with_context(|| format!("measure {}", program.display()))?;
        }
    }
    print!("{}", table(&ours, &theirs));
    Ok(())
}

/// What each run of one program gave, by name of the figure.
#[derive(Debug, Default)]
struct Figures {
    runs: BTreeMap<String, Vec<f64>>,
    /// Names in the order in which they were first measured.
    order: Vec<String>,
}

impl Figures {
    fn add(&mut self, name: String, value: f64) {
        if !self.runs.contains_key(&name) {
            self.order.push(name.clone());
        }
        self.runs.entry(name).or_default().push(value);
    }

    fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.runs.get(name)?.clone();
        values.sort_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let lower = values[(values.len() - 1) / 2];
        Some((lower + upper) / 2.0)
    }
}

fn measure(program: &Path, compare: &Compare, figures: &mut Figures) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut server = Server::start(program, &compare.dir)?;
    while read_once(server.client).is_err() {
        server.check_alive()?;
        anyhow::ensure!(begin.elapsed() < START_MAX, "no read succeeded within {START_MAX:?}");
        std::thread::sleep(Duration::from_micros(500));
    }
    figures.add("exec to first linearizable read, ms".to_owned(), begin.elapsed().as_secs_f64() * 1000.0);
    std::thread::sleep(Duration::from_secs(compare.idle_seconds));
    let pid = server.pid()?;
    let resident_mib = || anyhow::Ok(resident_bytes(pid)? / f64::from(1 << 20));
    figures.add("idle memory, MiB resident".to_owned(), resident_mib()?);
    for (kind, clients, connections, ops) in SHAPES {
        let ops = ((ops as f64 * compare.scale) as u64).max(1);
        let load = Load::new(kind, server.client, &Shape { clients, connections, ops }, &compare.data)?;
        if kind == Kind::Get {
            load.fill()?;
        }
        let measured = load.run(Some(pid))?;
        let name = |what: &str| format!("{kind}, {clients} clients on {connections} connections: {what}");
        figures.add(name("calls/s"), measured.per_second());
        figures.add(name("p50, ms"), measured.p50_ms);
        figures.add(name("p99, ms"), measured.p99_ms);
        if let Some(cpu) = measured.server_cpu_us {
            figures.add(name("server CPU, us per call"), cpu);
        }
        figures.add(name("loader CPU, us per call"), measured.loader_cpu_us);
    }
    figures.add("memory after the load, MiB resident".to_owned(), resident_mib()?);
    server.check_alive()
}

/// Medians and their ratio, as markdown.
fn table(ours: &Figures, theirs: &Figures) -> String {
    let mut table = String::from("| figure (median) | ours | theirs | ours / theirs |\n|---|---|---|---|\n");
    for name in &ours.order {
        if let Some((a, b)) = ours.median(name).zip(theirs.median(name)) {
            let (a_shown, b_shown) = (shown(a), shown(b));
            table.push_str(&format!("| {name} | {a_shown} | {b_shown} | {:.2} |\n", a / b));
        }
    }
    table
}

fn shown(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// What is measured on each server: kind, clients, connections, calls.
const SHAPES: [(Kind, usize, usize, u64); 5] = [
    (Kind::Put, 1, 1, 3_000),
    (Kind::Put, 1000, 100, 100_000),
    (Kind::Get, 1, 1, 20_000),
    (Kind::Get, 1000, 100, 200_000),
    (Kind::Get, 1000, 1, 200_000),
];
/// Longer than any server needs.
const START_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_medians_and_ratios_of_what_both_have() {
        let (mut ours, mut theirs) = (Figures::default(), Figures::default());
        for (a, b) in [(3.0, 400.0), (1.0, 100.0), (2.0, 200.0), (90.0, 300.0)] {
            ours.add("cpu".to_owned(), a);
            theirs.add("cpu".to_owned(), b);
        }
        ours.add("only ours".to_owned(), 1.0);
        let rows: Vec<_> = table(&ours, &theirs).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(rows, ["| cpu | 2.50 | 250 | 0.01 |"]);
    }
}
