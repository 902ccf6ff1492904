//! A world: a server, its devices, and all that happens to them.

mod apps;

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use sync_core::{
    engine::{DriverState, EngineError},
    error::{StoreError, StoreErrorKind},
    model::{Account, Op, RecordKey, Scope},
    store::Store,
    time::{Clock, Entropy},
};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    decide::{Rules, Validate},
    log::{Backup, MemoryLog, Retention},
};

use super::{
    device::{Device, Tab},
    executor::Executor,
    network::Network,
    plan::{ACCOUNTS, Act, Plan, SCOPES, Slot, Step, TYPES},
    seen::{Held, Recorder, Seen, TabId},
    snapshot::now,
};
use crate::{SeededEntropy, simulator::SimError, store_suite::Subject};

/// How long the world is given to settle once the faults have stopped.
const SETTLE: Duration = Duration::from_secs(1_800);
/// In what portions.
const PORTION: Duration = Duration::from_secs(4);
/// How long an app waits for its own database, at most.
const APP_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) executor: Executor,
    pub(crate) recorder: Recorder,
    pub(crate) network: Network,
    subject: Arc<dyn Subject>,
    log: MemoryLog,
    members: MemoryMembers,
    backup: Option<Backup>,
    /// No two edits write the same.
    written: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, subject: Arc<dyn Subject>, trace: bool) -> Self {
        let executor = Executor::new(plan.seed);
        let recorder = Recorder::new(executor.clock.clone(), plan.cast.retention, trace);
        let (log, members) = (MemoryLog::new(), MemoryMembers::new());
        let retention = plan.cast.retention;
        let server = Server::new(
            Arc::new(log.clone()),
            Arc::new(members.clone()),
            Arc::new(executor.clock.clone()),
            Arc::new(SeededEntropy::new(plan.seed)) as Arc<dyn Entropy>,
        )
        .with_rules(Rules {
            retention: Retention::new(retention, retention),
            ..Rules::default()
        });
        let server = match plan.seed % 3 {
            0 => server.with_validation(Arc::new(Picky)),
            _ => server,
        };
        let world = Self {
            network: Network::new(server, executor.clone(), recorder.clone()),
            plan,
            executor,
            recorder,
            subject,
            log,
            members,
            backup: None,
            written: 0,
        };
        for (scope, roles) in world.plan.cast.roles.iter().enumerate() {
            world.grant(scope, 0, Some(Role::Owner));
            for (account, role) in roles.iter().enumerate().skip(1) {
                world.grant(scope, account, *role);
            }
        }
        world
    }

    /// Gives an account a role in a scope, or takes it away.
    fn grant(&self, scope: usize, account: usize, role: Option<Role>) {
        let scope = Scope::from(SCOPES[scope]);
        let account = Account::from(ACCOUNTS[account]);
        self.recorder.see(&Seen::Granted {
            scope: &scope,
            account: &account,
            role,
        });
        match role {
            Some(role) => self.members.grant(scope, account, role),
            None => self.members.revoke(&scope, &account),
        }
    }

    /// Opens a device's database.
    pub(crate) async fn open(&self, device: usize) -> Result<Arc<dyn Store>, StoreError> {
        let name = format!("history-{}-device-{device}", self.plan.seed);
        now(self.subject.open(&name))
    }

    /// Runs the whole history.
    pub(crate) fn run(&mut self) -> Result<(), SimError> {
        let parts = self.plan.cast.devices.clone();
        let mut devices: Vec<Device> = parts
            .iter()
            .enumerate()
            .map(|(number, part)| Device::new(self, number, *part))
            .collect();
        for device in &mut devices {
            self.start_all(device)?;
        }
        let steps = self.plan.steps.clone();
        for step in &steps {
            self.executor.run_for(step.after);
            self.revive(&mut devices)?;
            if self.recorder.is_violated() {
                return Ok(());
            }
            self.recorder.count(step.act.label(), 1);
            self.recorder.see(&Seen::Step(step));
            self.act(step, &mut devices)?;
            self.executor.run_ready();
            self.revive(&mut devices)?;
            self.look(&mut devices);
        }
        self.settle(&mut devices)
    }

    fn start_all(&self, device: &mut Device) -> Result<(), SimError> {
        for tab in 0..device.tabs.len() {
            if device.tabs[tab].is_none() {
                match self.app(device.start(self, tab)) {
                    Some(Err(EngineError::Store(error)))
                        if *error.kind() == StoreErrorKind::Full => {}
                    Some(started) => started?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Starts again what has died.
    fn revive(&self, devices: &mut [Device]) -> Result<(), SimError> {
        for device in devices {
            for dead in device.disk.take_dead() {
                let is_dead =
                    |tab: &Option<Tab>| tab.as_ref().is_some_and(|tab| tab.process == dead);
                if let Some(tab) = device.tabs.iter().position(is_dead) {
                    device.kill(self, tab);
                }
            }
            self.start_all(device)?;
        }
        Ok(())
    }

    /// Runs what an app does to its end. None when the process has died of it, or it takes too long.
    fn app<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let call = std::pin::pin!(call);
        self.executor.run_until(APP_PATIENCE, call, || false)
    }

    /// As `app`, for a call on a device that may die of it.
    fn app_on<T>(&self, device: &Device, call: impl Future<Output = T>) -> Option<T> {
        let call = std::pin::pin!(call);
        self.executor
            .run_until(APP_PATIENCE, call, || device.disk.has_dead())
    }

    /// Each app looks at everything.
    fn look(&self, devices: &mut [Device]) {
        for device in devices {
            device.hear(self);
            if !device.disk.take_changed() {
                continue;
            }
            let held = device.disk.held();
            for (number, tab) in device.tabs.iter().enumerate() {
                let Some(tab) = tab else { continue };
                let Some(Ok(status)) = self.app(tab.engine.status()) else {
                    continue;
                };
                self.recorder.see(&Seen::Looked {
                    tab: TabId {
                        device: device.number,
                        tab: number,
                    },
                    counts: status.counts,
                    held: &held,
                });
            }
        }
    }

    /// The faults stop; then everything must be settled without anybody doing anything. Apps that were left hidden
    /// stay so until what their users have written has reached the server.
    fn settle(&mut self, devices: &mut [Device]) -> Result<(), SimError> {
        self.network.heal();
        for device in devices.iter_mut() {
            device.disk.heal();
            device.line.heal();
            device.tell_online(true);
            self.start_all(device)?;
            for tab in device.tabs.iter_mut().flatten() {
                tab.engine.resume();
                for scope in 0..self.plan.cast.scopes {
                    tab.activate(scope, true);
                }
            }
        }
        self.recorder.see(&Seen::Healed);
        if devices.iter().any(Device::is_hidden) {
            let held = self.wait(devices, |devices| Seen::Flushed { devices })?;
            self.recorder.see(&Seen::Flushed { devices: &held });
            for device in devices.iter_mut() {
                device.show();
            }
        }
        let held = self.wait(devices, |devices| Seen::End { devices })?;
        self.look(devices);
        self.recorder.see(&Seen::End { devices: &held });
        for device in devices.iter_mut() {
            for tab in 0..device.tabs.len() {
                device.kill(self, tab);
            }
            for (label, times) in device.line.met() {
                self.recorder.count(label, times);
            }
        }
        self.executor.run_ready();
        Ok(())
    }

    /// Waits until it is as it must be in the end, for as long as that may take. Returns what the devices hold then.
    fn wait(
        &self,
        devices: &mut [Device],
        end: impl Fn(&[Held]) -> Seen<'_>,
    ) -> Result<Vec<Held>, SimError> {
        let mut waited = Duration::ZERO;
        loop {
            self.executor.run_for(PORTION);
            waited += PORTION;
            self.revive(devices)?;
            self.log_in_again(devices);
            let held: Vec<Held> = devices
                .iter()
                .map(|device| (device.number, device.disk.held()))
                .collect();
            let is_over = waited >= SETTLE || self.recorder.is_violated();
            if is_over || (waited >= 2 * PORTION && self.recorder.would_hold(&end(&held))) {
                return Ok(held);
            }
        }
    }

    /// The app has a token: a pause ends as soon as it is seen.
    fn log_in_again(&self, devices: &[Device]) {
        for device in devices {
            device.line.renew_token();
        }
        for tab in devices.iter().flat_map(|device| &device.tabs).flatten() {
            let status = self.app(tab.engine.status());
            if status.is_some_and(|s| s.is_ok_and(|s| matches!(s.driver, DriverState::Paused(_)))) {
                tab.engine.resume();
            }
        }
    }

    fn act(&mut self, step: &Step, devices: &mut [Device]) -> Result<(), SimError> {
        let at = step.device;
        match &step.act {
            Act::Write(slot) => self.write(&mut devices[at], step.tab, &[*slot], false),
            Act::Delete(slot) => self.write(&mut devices[at], step.tab, &[*slot], true),
            Act::WriteTogether(slots) => self.write(&mut devices[at], step.tab, slots, false),
            Act::UpdateWith(slot) => self.update_with(&mut devices[at], step.tab, *slot),
            Act::Read => self.read(&devices[at], step.tab),
            Act::SyncNow => {
                if let Some(tab) = &devices[at].tabs[step.tab] {
                    // Polled once, it is asked for; nobody waits for the report.
                    let _ = tab.engine.sync_now([]).now_or_never();
                }
            }
            Act::Activate(scope, on) => {
                if let Some(tab) = &mut devices[at].tabs[step.tab] {
                    tab.activate(*scope, *on);
                }
            }
            Act::Visible(visible) => {
                if let Some(tab) = &mut devices[at].tabs[step.tab] {
                    tab.set_visible(*visible);
                }
            }
            Act::Restart => {
                devices[at].kill(self, step.tab);
                self.executor.run_ready();
                self.start_all(&mut devices[at])?;
            }
            Act::Relogin(force) => self.relogin(&mut devices[at], *force, step.id)?,
            Act::Upgrade => devices[at].newest = true,
            Act::DecideFailed(retry) => self.decide_failed(&devices[at], step.tab, *retry),
            Act::Acknowledge => self.acknowledge(&devices[at], step.tab),
            Act::Resume => {
                devices[at].line.renew_token();
                if let Some(tab) = &devices[at].tabs[step.tab] {
                    tab.engine.resume();
                }
            }
            Act::Online(online) => devices[at].tell_online(*online),
            Act::Reachable(reachable) => devices[at].line.set_up(*reachable),
            Act::Latency(latency) => devices[at].line.set_latency(*latency),
            Act::Fault(fault) => devices[at].line.fail_next(*fault),
            Act::Poke(scope) => {
                if let Some(tab) = &devices[at].tabs[step.tab] {
                    tab.engine.poke(SCOPES[*scope]);
                }
            }
            Act::Crash(call, after) => devices[at].disk.crash_at(*call, *after),
            Act::DiskFull(time) => devices[at].disk.fill_up(self.executor.clock.now() + *time),
            Act::ClockJump(millis) => devices[at].clock.jump(*millis),
            Act::ServerDown(time) => self.network.take_down(*time),
            Act::ServerRestart => self.network.restart(),
            Act::Backup => {
                self.backup = Some(self.log.backup());
                self.recorder.see(&Seen::BackedUp);
            }
            Act::Restore => self.restore(),
            Act::Compact => {
                let _ = self.network.server.compact().now_or_never();
            }
            Act::Grant(scope, account, role) => self.grant(*scope, *account, *role),
            Act::Choke(slot) => self.network.choke_on(slot.map(key)),
        }
        Ok(())
    }

    fn restore(&mut self) {
        let Some(backup) = self.backup.take() else {
            return;
        };
        self.network.restart();
        self.log.restore(&backup);
        self.recorder.see(&Seen::Restored);
        let _ = self.network.server.new_epoch().now_or_never();
    }
}

pub(crate) fn key(slot: Slot) -> RecordKey {
    RecordKey::new(
        SCOPES[slot.scope],
        TYPES[slot.kind],
        super::plan::IDS[slot.id],
    )
}

/// Rejects some payloads for ever, whoever writes them.
#[derive(Debug)]
struct Picky;

impl Validate for Picky {
    fn validate(&self, _: &Account, _: &RecordKey, op: &Op) -> Result<(), String> {
        match op.payload() {
            Some(payload) if payload.as_str().ends_with("7}") => Err("not this one".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The labels that are counted beside steps, faults and what engines tell.
pub(crate) const OTHERS: [&str; 7] = [
    "fault: crash at a call of the store",
    "fault: disk full at a call of the store",
    "outcome: enqueued",
    "outcome: cancelled",
    "outcome: retried",
    "outcome: discarded",
    "app: wiped",
];
