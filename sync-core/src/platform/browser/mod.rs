//! Time and randomness of a browser, in a window or a worker.

mod sleep;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use js_sys::{Date, Function, Math, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::time::{Clock, Entropy, Time, Timestamp};

pub use sleep::Sleep;

/// How long a timer runs at most. Timers stand still while a device sleeps: this is how late it may be noticed that
/// the time has passed.
const LONGEST_TIMER: Duration = Duration::from_secs(60);

/// By how much the wall clock must gain on the other before the device is taken to have slept, in milliseconds.
const SLEPT: f64 = 1_000.0;

/// The clock of a browser, with its timers, which hidden tabs may run late.
///
/// It goes by `performance.now`, which stands still in some browsers while the device sleeps. So a wall clock that
/// gains more than a second on it counts as time that has passed. One that is set forward by hand looks the same and
/// makes something due earlier, once; one that is set back changes nothing.
pub struct BrowserClock {
    reading: Mutex<Reading>,
}

/// Without its numbers: writing them would take 6 KB of code in every app, which downloads it.
impl fmt::Debug for BrowserClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserClock").finish_non_exhaustive()
    }
}

/// What was read last, in milliseconds.
struct Reading {
    steady: f64,
    wall: f64,
    passed: f64,
}

impl Reading {
    fn advance(&mut self, steady: f64, wall: f64) {
        let by_steady = (steady - self.steady).max(0.0);
        let by_wall = wall - self.wall;
        self.passed += if by_wall > by_steady + SLEPT {
            by_wall
        } else {
            by_steady
        };
        (self.steady, self.wall) = (steady, wall);
    }
}

impl BrowserClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            reading: Mutex::new(Reading {
                steady: steady(),
                wall: Date::now(),
                passed: 0.0,
            }),
        }
    }
}

impl Default for BrowserClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait(?Send)]
impl Clock for BrowserClock {
    fn now(&self) -> Time {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.advance(steady(), Date::now());
        Time::from_millis(reading.passed as u64)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(Date::now() as i64)
    }

    async fn sleep_until(&self, deadline: Time) {
        // A timer may also be early by a fraction of a millisecond; the contract is never to be.
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return;
            }
            Sleep::new(left.min(LONGEST_TIMER)).await;
        }
    }
}

/// The randomness of a browser's `crypto`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrowserEntropy;

impl Entropy for BrowserEntropy {
    fn bits(&self) -> u128 {
        let bytes = Uint8Array::new_with_length(16);
        let mut bits = [0; 16];
        if call("crypto", "getRandomValues", &bytes).is_some() {
            bytes.copy_to(&mut bits);
            return u128::from_le_bytes(bits);
        }
        // A place without it: what JavaScript has in its stead.
        (0..4).fold(0, |bits, _| {
            bits << 32 | (Math::random() * f64::from(u32::MAX)) as u128
        })
    }
}

fn steady() -> f64 {
    call("performance", "now", &JsValue::UNDEFINED)
        .and_then(|millis| millis.as_f64())
        .unwrap_or_else(Date::now)
}

/// Calls a method of one of the objects that windows and workers have.
fn call(object: &str, method: &str, argument: &JsValue) -> Option<JsValue> {
    let object = Reflect::get(&js_sys::global(), &object.into()).ok()?;
    let method: Function = Reflect::get(&object, &method.into())
        .ok()?
        .dyn_into()
        .ok()?;
    method.call1(&object, argument).ok()
}
