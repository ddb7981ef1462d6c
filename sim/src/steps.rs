//! What has gone into the log, and how much of it a recovered member holds.
//!
//! The log of a sole voter has the requests in the order in which they were proposed, and a crash leaves a beginning of
//! it. So what a member may be found with is the model after some number of the requests: at least up to the last one
//! that was answered, at most all of them. [`resolve`] finds the number.

use crate::history;
use crate::model::Model;
use crate::request::Request;
use crate::state::State;

/// Something with a place in the log.
#[derive(Clone, Debug)]
pub enum Step {
    /// A client's request.
    Request(Request),
    /// The member's own: the alarm that its space is used up.
    Alarm,
    /// No entry: a member that was started again showed its clients what it holds.
    Found {
        /// How many of the steps behind the last step of this kind it holds, from the first one on.
        kept: usize,
        /// Whether the alarm is active. It may be without a step: a member that reads its log again may count its
        /// space otherwise than before.
        has_no_space_alarm: bool,
    },
}

/// What a state turned out to be.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The model that it equals.
    pub model: Model,
    /// How many steps behind the last [`Step::Found`] are in it.
    pub kept: usize,
}

impl Resolved {
    /// The step to note when clients were shown this.
    pub fn step(&self) -> Step {
        Step::Found { kept: self.kept, has_no_space_alarm: self.model.has_no_space_alarm() }
    }
}

/// Finds the beginning of `steps`, all since the first start, that `state` shows. `has_quota` tells that a member may raise its
/// alarm by itself.
///
/// # Errors
/// What is lost or was never asked for.
pub fn resolve(
    steps: &[history::Request<'_, Step>],
    state: &State,
    has_quota: bool,
) -> Result<Resolved, String> {
    let mut model = Model::default();
    let mut open: Vec<&history::Request<'_, Step>> = Vec::new();
    for step in steps {
        if let Step::Found { kept, has_no_space_alarm } = step.request {
            open.drain(..).take(*kept).for_each(|step| perform(&mut model, step));
            model.set_no_space_alarm(*has_no_space_alarm);
        } else {
            open.push(step);
        }
    }
    let must = open.iter().rposition(|step| step.acknowledged).map_or(0, |last| last + 1);
    let mut difference = String::new();
    for kept in 0..=open.len() {
        if kept >= must {
            match compare(state, &model, has_quota) {
                Ok(()) => {
                    model.set_no_space_alarm(state.has_no_space_alarm());
                    return Ok(Resolved { model, kept });
                }
                Err(found) if kept == must || model.revision() == state.revision() => difference = found,
                Err(_) => {}
            }
        }
        if let Some(step) = open.get(kept) {
            perform(&mut model, step);
        }
    }
    Err(format!(
        "of {} requests {must} must be there and no number from there on fits: {difference}",
        open.len()
    ))
}

fn perform(model: &mut Model, step: &history::Request<'_, Step>) {
    match step.request {
        // What it comes to was checked when it was answered.
        Step::Request(request) => drop(model.apply(request)),
        Step::Alarm => model.set_no_space_alarm(true),
        Step::Found { .. } => {}
    }
}

fn compare(state: &State, model: &Model, has_quota: bool) -> Result<(), String> {
    state.compare(model)?;
    match (state.has_no_space_alarm(), model.has_no_space_alarm()) {
        (false, true) => Err("the alarm for want of space is lost".to_owned()),
        (true, false) if !has_quota => Err("there is an alarm for want of space without a quota".to_owned()),
        _ => Ok(()),
    }
}
