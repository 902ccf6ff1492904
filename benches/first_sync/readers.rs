//! Readers that read all along, and how long they were made to wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a reader rests between two calls.
const REST: Duration = Duration::from_millis(1);

/// Readers at work, each on a thread of its own.
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<(&'static str, JoinHandle<Vec<Duration>>)>,
}

impl Readers {
    pub(crate) fn new() -> Self {
        Self {
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    /// Calls `read` again and again.
    pub(crate) fn add(&mut self, name: &'static str, mut read: impl FnMut() + Send + 'static) {
        let stop = Arc::clone(&self.stop);
        let thread = thread::spawn(move || {
            let mut took = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                read();
                took.push(began.elapsed());
                thread::sleep(REST);
            }
            took
        });
        self.threads.push((name, thread));
    }

    /// Ends them, says how long their calls took, and returns the longest.
    pub(crate) fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut longest = Duration::ZERO;
        for (name, thread) in self.threads {
            let mut took = thread.join().unwrap();
            took.sort();
            let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
            println!(
                "  {name:12} {:6} calls: half within {:.2?}, 99 of 100 within {:.2?}, 999 of 1,000 within {:.2?}, all within {:.2?}",
                took.len(),
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0),
            );
            longest = longest.max(at(1.0));
        }
        longest
    }
}
