//! Making a failing history short.

use std::time::Duration;

use super::{
    Plan, SimError,
    plan::{Cast, DevicePart, Judgement, Reply},
};

/// Leaves out what can be left out, in ever smaller pieces, and makes simple what can be simple, as long as the
/// history still fails; until nothing more helps.
pub(crate) fn shrink(
    mut plan: Plan,
    mut fails: impl FnMut(&Plan) -> Result<bool, SimError>,
) -> Result<Plan, SimError> {
    loop {
        let fewer = fewer_steps(plan, &mut fails)?;
        let (simpler, helped) = simpler_cast(fewer, &mut fails)?;
        plan = simpler;
        if !helped {
            return Ok(plan);
        }
    }
}

fn fewer_steps(
    mut plan: Plan,
    fails: &mut impl FnMut(&Plan) -> Result<bool, SimError>,
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

/// What may be tried to make a history simpler; it changes nothing where it is as simple as that already.
type Simplify = fn(&mut Cast);

const SIMPLER: [Simplify; 8] = [
    |cast| cast.latency = Duration::ZERO,
    |cast| cast.page_size = 1_000,
    |cast| cast.batch_count = 100,
    |cast| cast.retention = Duration::from_secs(86_400 * 90),
    |cast| cast.judgement = Judgement::LaterEditWins,
    |cast| cast.devices.iter_mut().for_each(|device| device.skew = 0),
    |cast| {
        let devices = cast.devices.iter_mut();
        devices.for_each(|device| device.reply = Reply::Accepts);
    },
    |cast| {
        cast.devices
            .iter_mut()
            .for_each(|device| device.newest = true)
    },
];

/// Returns whether anything was made simpler, too.
fn simpler_cast(
    mut plan: Plan,
    fails: &mut impl FnMut(&Plan) -> Result<bool, SimError>,
) -> Result<(Plan, bool), SimError> {
    let mut helped = false;
    let mut attempt = |plan: &mut Plan, simpler: Plan| -> Result<(), SimError> {
        if simpler.cast != plan.cast && fails(&simpler)? {
            *plan = simpler;
            helped = true;
        }
        Ok(())
    };
    for device in (0..plan.cast.devices.len()).rev() {
        let without = without_device(&plan, device);
        attempt(&mut plan, without)?;
    }
    for device in 0..plan.cast.devices.len() {
        let alone = with_one_tab(&plan, device);
        attempt(&mut plan, alone)?;
    }
    for simplify in SIMPLER {
        let mut simpler = plan.clone();
        simplify(&mut simpler.cast);
        attempt(&mut plan, simpler)?;
    }
    Ok((plan, helped))
}

/// The same history without a device and all that happens at it.
fn without_device(plan: &Plan, device: usize) -> Plan {
    let mut plan = plan.clone();
    if plan.cast.devices.len() == 1 {
        return plan;
    }
    plan.cast.devices.remove(device);
    plan.steps.retain(|step| step.device != device);
    for step in &mut plan.steps {
        if step.device > device {
            step.device -= 1;
        }
    }
    plan
}

/// The same history with one engine on a device's database.
fn with_one_tab(plan: &Plan, device: usize) -> Plan {
    let mut plan = plan.clone();
    plan.cast.devices[device] = DevicePart {
        tabs: 1,
        ..plan.cast.devices[device]
    };
    let at_device = plan.steps.iter_mut().filter(|step| step.device == device);
    at_device.for_each(|step| step.tab = 0);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_made_short_and_its_cast_small() {
        let plan = (0..)
            .map(|seed| Plan::new(seed, 80))
            .find(|plan| plan.cast.devices.len() > 2)
            .unwrap();
        let steps: Vec<u64> = plan.steps.iter().map(|step| step.id).collect();
        let (one, other) = (steps[10], steps[61]);
        let device = plan.steps[61].device;
        let shortest = shrink(plan, |plan| {
            let has = |id| plan.steps.iter().any(|step| step.id == id);
            Ok(has(other) && (has(one) || plan.cast.devices.len() < 3))
        })
        .unwrap();
        let left: Vec<u64> = shortest.steps.iter().map(|step| step.id).collect();
        assert_eq!(left, [other], "not what happens at device {device}");
        assert_eq!(shortest.cast.devices.len(), 1);
        assert_eq!(shortest.cast.latency, Duration::ZERO);
    }
}
