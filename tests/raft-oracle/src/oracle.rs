//! Go's library as a process: commands in, one line for each out.

use crate::script::Step;
use anyhow::Context;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

/// Answers that may be outstanding.
const OUTSTANDING_MAX: usize = 512;

/// The process. Commands are written ahead of the answers.
pub struct Oracle {
    child: Child,
    commands: Option<Sender<String>>,
    answers: BufReader<ChildStdout>,
    outstanding: VecDeque<Step>,
    line: String,
}

impl Oracle {
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdin = child.stdin.take().context("standard input")?;
        let stdout = child.stdout.take().context("standard output")?;
        let (commands, queue) = channel::<String>();
        std::thread::spawn(move || {
            let mut stdin = BufWriter::new(stdin);
            // When the program has gone, the reader finds out.
            while let Ok(command) = queue.recv() {
                let mut next = Some(command);
                while let Some(command) = next {
                    if writeln!(stdin, "{command}").is_err() {
                        return;
                    }
                    next = queue.try_recv().ok();
                }
                if stdin.flush().is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            commands: Some(commands),
            answers: BufReader::new(stdout),
            outstanding: VecDeque::new(),
            line: String::new(),
        })
    }

    /// Queues a step; checks older ones.
    ///
    /// # Errors
    /// An answer is not the expected one, or the program has ended.
    pub fn check(&mut self, step: Step) -> anyhow::Result<()> {
        let commands = self.commands.as_ref().context("the program was stopped")?;
        commands.send(step.command.clone()).ok().context("the program has ended")?;
        self.outstanding.push_back(step);
        if self.outstanding.len() >= OUTSTANDING_MAX { self.settle() } else { Ok(()) }
    }

    /// Checks everything outstanding.
    ///
    /// # Errors
    /// As [`Oracle::check`].
    pub fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(step) = self.outstanding.pop_front() {
            self.line.clear();
            self.answers.read_line(&mut self.line)?;
            let answer = self.line.trim_end();
            anyhow::ensure!(
                is_equal(&step.answer, answer),
                "they differ after `{}`:\n  ours {}\n  Go's {answer}\n{}",
                step.command,
                step.answer,
                difference(&step.answer, answer)
            );
        }
        Ok(())
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Errors are compared as such: their texts are for people.
fn is_equal(ours: &str, theirs: &str) -> bool {
    let rest = |answer: &str| answer.split_once(' ').map(|(_, rest)| rest.to_owned());
    let is_error = |answer: &str| answer.starts_with("err");
    ours == theirs || is_error(ours) && is_error(theirs) && rest(ours) == rest(theirs)
}

/// The fields that differ.
fn difference(ours: &str, theirs: &str) -> String {
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.split(' ').collect(), theirs.split(' ').collect());
    let mut text = String::new();
    for position in 0..ours.len().max(theirs.len()) {
        let (ours, theirs) = (ours.get(position), theirs.get(position));
        if ours != theirs {
            text += &format!("  field {position}: ours {ours:?}, Go's {theirs:?}\n");
        }
    }
    text
}
