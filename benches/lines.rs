//! The lines of results, in a form that does not change: a word, a name, a number.
//!
//! Names are paths of what was measured: `apply/sqlite/insert/5000`.

use std::time::Duration;

/// `RATIO name 0.97`: what this library costs over what the same by hand costs.
pub fn ratio(name: &str, ratio: f64) {
    println!("RATIO {name} {ratio:.2}");
}

/// `FLAT name 1.02`: what something costs with much of something else beside it, over its cost without.
pub fn flat(name: &str, ratio: f64) {
    println!("FLAT {name} {ratio:.2}");
}

/// `RATE name 5000000.00`: how many a second.
pub fn rate(name: &str, per_second: f64) {
    println!("RATE {name} {per_second:.2}");
}

/// `MEM name 67108864`: bytes.
pub fn mem(name: &str, bytes: u64) {
    println!("MEM {name} {bytes}");
}

/// `MAX name 12.50`: the longest time that something took, in milliseconds.
pub fn max(name: &str, longest: Duration) {
    println!("MAX {name} {:.2}", longest.as_secs_f64() * 1e3);
}
