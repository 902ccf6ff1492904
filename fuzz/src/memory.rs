//! How much memory a decoder may take.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes for each byte of the input. The smallest change takes 40 bytes as JSON and some 300 as a body and a change
/// together, in lists that double as they grow.
const PER_BYTE: usize = 32;

/// Bytes for an input of any size: messages, and lists of few elements.
const FLAT: usize = 16 << 10;

/// Calls `decode`, which may use memory in proportion to its input and no more.
pub(crate) fn bounded<T>(input: &str, decode: impl FnOnce() -> T) -> T {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let decoded = decode();
    let used = ALLOCATOR.peak_usage().saturating_sub(before);
    let most = PER_BYTE * input.len() + FLAT;
    assert!(
        used <= most,
        "{used} bytes of memory for {} of input",
        input.len()
    );
    decoded
}
