//! The target of this name: under cargo-fuzz guided by coverage, with plain cargo on the files that are named.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| sync_fuzz::targets::server::run(input));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    sync_fuzz::run_files(sync_fuzz::targets::server::run)
}
