//! A world: a server, its devices, and all that happens to them.

mod apps;
mod server;
mod shaky;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::FutureExt;
use sync_core::{
    engine::{DriverState, EngineError},
    error::{StoreError, StoreErrorKind},
    model::{Account, RecordKey, Scope},
    store::Store,
    time::Clock,
};
use sync_server::access::Role;

pub use self::server::{Backend, Circumstances};
pub(crate) use self::{
    server::Own,
    shaky::{Shaky, Trouble},
};
use super::{
    device::{Device, Tab},
    executor::Executor,
    network::Network,
    plan::{ACCOUNTS, Act, Plan, SCOPES, Slot, Step, TYPES},
    seen::{Held, Recorder, Seen, TabId},
    snapshot::now,
};
use crate::{simulator::SimError, store_suite::Subject};

/// How long the world is given to settle once the faults have stopped.
const SETTLE: Duration = Duration::from_secs(1_800);
/// In what portions.
const PORTION: Duration = Duration::from_secs(4);
/// How long an app waits for its own database, at most.
const APP_PATIENCE: Duration = Duration::from_secs(60);

/// The roles of accounts in scopes.
type Members = BTreeMap<(usize, usize), Option<Role>>;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) executor: Executor,
    pub(crate) recorder: Recorder,
    pub(crate) network: Network,
    subject: Arc<dyn Subject>,
    /// Whether the databases need a lease of the world's.
    pub(crate) lends: bool,
    /// Who may do what.
    members: Members,
    /// Who could when the server was backed up, if it was not restored from that backup.
    backup: Option<Members>,
    /// No two edits write the same.
    written: u64,
}

impl World {
    pub(crate) fn new(
        plan: Plan,
        subject: Arc<dyn Subject>,
        lends: bool,
        serve: &dyn Fn(&Circumstances) -> Arc<dyn Backend>,
        trace: bool,
    ) -> Self {
        let executor = Executor::new(plan.seed);
        let recorder = Recorder::new(executor.clock.clone(), &plan.cast, trace);
        let circumstances = Circumstances {
            seed: plan.seed,
            clock: Arc::new(executor.clock.clone()),
            retention: plan.cast.retention,
            judgement: plan.cast.judgement,
            shaky: Shaky::default(),
        };
        let network = Network::new(
            serve(&circumstances),
            circumstances.shaky,
            executor.clone(),
            recorder.clone(),
        );
        let mut world = Self {
            network,
            plan,
            executor,
            recorder,
            subject,
            lends,
            members: Members::new(),
            backup: None,
            written: 0,
        };
        for (scope, roles) in world.plan.cast.roles.clone().iter().enumerate() {
            world.grant(scope, 0, Some(Role::Owner));
            for (account, role) in roles.iter().enumerate().skip(1) {
                world.grant(scope, account, *role);
            }
        }
        world
    }

    /// Gives an account a role in a scope, or takes it away.
    fn grant(&mut self, scope: usize, account: usize, role: Option<Role>) {
        self.members.insert((scope, account), role);
        let scope = Scope::from(SCOPES[scope]);
        let account = Account::from(ACCOUNTS[account]);
        self.recorder.see(&Seen::Granted {
            scope: &scope,
            account: &account,
            role,
        });
        self.network.backend.grant(&scope, &account, role);
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
            if self.is_over() {
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

    /// Whether something was seen that must not be, be it that nothing comes to an end.
    fn is_over(&self) -> bool {
        if self.executor.is_spinning() {
            let what = "tasks keep each other busy, and no time passes".to_owned();
            self.recorder.violated(
                "no busy loop",
                "guarantee 11: under any failure what is attempted is bounded",
                what,
            );
        }
        self.recorder.is_violated()
    }

    fn start_all(&self, device: &mut Device) -> Result<(), SimError> {
        let disk = device.disk.clone();
        for tab in 0..device.tabs.len() {
            if device.tabs[tab].is_some() {
                continue;
            }
            let started = {
                let start = std::pin::pin!(device.start(self, tab));
                let has_died = || disk.has_dead();
                self.executor.run_until(APP_PATIENCE, start, has_died)
            };
            match started {
                Some(Err(EngineError::Store(error))) if *error.kind() == StoreErrorKind::Full => {}
                Some(started) => started?,
                None => {}
            }
            self.bury(device);
        }
        Ok(())
    }

    /// Ends the engines whose processes have died.
    fn bury(&self, device: &mut Device) {
        for dead in device.disk.take_dead() {
            let is_dead = |tab: &Option<Tab>| tab.as_ref().is_some_and(|tab| tab.process == dead);
            if let Some(tab) = device.tabs.iter().position(is_dead) {
                device.kill(self, tab);
            }
        }
    }

    /// Starts again what has died.
    fn revive(&self, devices: &mut [Device]) -> Result<(), SimError> {
        for device in devices {
            self.bury(device);
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
            for number in 0..device.tabs.len() {
                let Some(tab) = device.awake(number) else {
                    continue;
                };
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

    /// The faults stop; then everything must be settled without anybody doing anything: no engine is told what it has
    /// no need to hear. Apps that were left hidden
    /// stay so until what their users have written has reached the server.
    fn settle(&mut self, devices: &mut [Device]) -> Result<(), SimError> {
        self.network.heal();
        self.executor.thaw_all();
        for device in devices.iter_mut() {
            device.disk.heal();
            device.line.heal();
            if !device.is_told_online() {
                device.tell_online(true);
            }
            self.start_all(device)?;
            for tab in device.tabs.iter_mut().flatten() {
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
            let is_over = waited >= SETTLE || self.is_over();
            if is_over || (waited >= 2 * PORTION && self.recorder.would_hold(&end(&held))) {
                return Ok(held);
            }
        }
    }

    /// The app has a token: a pause ends as soon as it is seen, in one tab of each device, whichever leads.
    fn log_in_again(&self, devices: &[Device]) {
        for device in devices {
            device.line.renew_token();
            let Some(tab) = device.tabs.iter().flatten().last() else {
                continue;
            };
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
                if let Some(tab) = devices[at].awake(step.tab) {
                    // Polled once, it is asked for; nobody waits for the report.
                    let _ = tab.engine.sync_now([]).now_or_never();
                }
            }
            Act::Activate(scope, on) => {
                if let Some(tab) = devices[at].awake_mut(step.tab) {
                    tab.activate(*scope, *on);
                }
            }
            Act::Visible(visible) => {
                if let Some(tab) = devices[at].awake_mut(step.tab) {
                    tab.set_visible(*visible);
                }
            }
            Act::Restart => {
                devices[at].kill(self, step.tab);
                self.executor.run_ready();
                self.start_all(&mut devices[at])?;
            }
            Act::Freeze(time) => self.freeze(&devices[at], step.tab, *time),
            Act::Relogin(force) => self.relogin(&mut devices[at], *force, step.id)?,
            Act::Upgrade => devices[at].newest = true,
            Act::DecideFailed(retry) => self.decide_failed(&devices[at], step.tab, *retry),
            Act::Acknowledge => self.acknowledge(&devices[at], step.tab),
            Act::Resume => {
                devices[at].line.renew_token();
                if let Some(tab) = devices[at].awake(step.tab) {
                    tab.engine.resume();
                }
            }
            Act::Online(online) => devices[at].tell_online(*online),
            Act::Reachable(reachable) => devices[at].line.set_up(*reachable),
            Act::Latency(latency) => devices[at].line.set_latency(*latency),
            Act::Fault(fault) => devices[at].line.fail_next(*fault),
            Act::Poke(scope) => {
                if let Some(tab) = devices[at].awake(step.tab) {
                    tab.engine.poke(SCOPES[*scope]);
                }
            }
            Act::Crash(call, after) => devices[at].disk.crash_at(*call, *after),
            Act::DiskFull(time) => devices[at].disk.fill_up(self.executor.clock.now() + *time),
            Act::ClockJump(millis) => devices[at].clock.jump(*millis),
            Act::ServerDown(time) => self.network.take_down(*time),
            Act::ServerRestart => self.network.restart(),
            Act::Backup => {
                let backed_up = self.network.backend.back_up();
                self.backup = backed_up.then(|| self.members.clone());
                if backed_up {
                    self.recorder.see(&Seen::BackedUp);
                }
            }
            Act::Restore(with_members) => self.restore(*with_members),
            Act::Compact => {
                let _ = self.app(self.network.backend.compact());
            }
            Act::Grant(scope, account, role) => self.grant(*scope, *account, *role),
            Act::Choke(slot) => {
                self.network
                    .choke_on(slot.map(|(slot, how)| (key(slot), how)));
            }
        }
        Ok(())
    }

    /// The system suspends an engine's process, or the browser its tab. What it waits for comes meanwhile.
    fn freeze(&self, device: &Device, tab: usize, time: Duration) {
        if let Some(Tab { process, .. }) = device.awake(tab) {
            let until = self.executor.clock.now() + time;
            self.executor.freeze(*process, until);
            let tab = TabId {
                device: device.number,
                tab,
            };
            self.recorder.see(&Seen::Froze { tab, until });
        }
    }

    fn restore(&mut self, with_members: bool) {
        let Some(members) = self.backup.take() else {
            return;
        };
        self.network.restart();
        self.recorder.see(&Seen::Restored);
        let _ = self.app(self.network.backend.restore());
        if with_members {
            for ((scope, account), role) in members {
                if self.members.get(&(scope, account)) != Some(&role) {
                    self.grant(scope, account, role);
                }
            }
        }
    }
}

pub(crate) fn key(slot: Slot) -> RecordKey {
    RecordKey::new(
        SCOPES[slot.scope],
        TYPES[slot.kind],
        super::plan::IDS[slot.id],
    )
}

/// The labels that are counted beside steps, faults and what engines tell.
pub(crate) const OTHERS: [&str; 6] = [
    "fault: disk full at a call of the store",
    "outcome: enqueued",
    "outcome: cancelled",
    "outcome: retried",
    "outcome: discarded",
    "app: wiped",
];
