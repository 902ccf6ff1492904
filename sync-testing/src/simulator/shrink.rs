//! Making a failing history short.

use super::{Plan, SimError};

/// Leaves out what can be left out, in ever smaller pieces, as long as the history still fails.
pub(crate) fn shrink(
    mut plan: Plan,
    mut fails: impl FnMut(&Plan) -> Result<bool, SimError>,
) -> Result<Plan, SimError> {
    let mut piece = plan.steps.len().next_power_of_two() / 2;
    while piece > 0 {
        let mut at = 0;
        let mut left_out = false;
        while at < plan.steps.len() {
            let shorter = plan.without(at..(at + piece).min(plan.steps.len()));
            if fails(&shorter)? {
                plan = shorter;
                left_out = true;
            } else {
                at += piece;
            }
        }
        if !left_out || piece > 1 {
            piece /= 2;
        }
    }
    Ok(plan)
}
