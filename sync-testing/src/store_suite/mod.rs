//! The conformance suite of stores: what every store must do, as cases that each test one promise.
//!
//! A store's author implements [`Subject`], which says how a database is opened, and lets [`store_suite!`] make one
//! test of each case:
//!
//! ```
//! use std::{collections::HashMap, sync::{Arc, Mutex}};
//! use async_trait::async_trait;
//! use sync_core::{error::StoreError, store::{MemoryStore, Store}};
//! use sync_testing::store_suite::Subject;
//!
//! /// A store in memory has no file to open again: what is opened twice is the same one.
//! #[derive(Default)]
//! struct Memory(Mutex<HashMap<String, MemoryStore>>);
//!
//! #[cfg_attr(not(target_arch = "wasm32"), async_trait)]
//! #[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
//! impl Subject for Memory {
//!     async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
//!         let mut stores = self.0.lock().unwrap();
//!         Ok(Arc::new(stores.entry(name.to_owned()).or_default().clone()))
//!     }
//! }
//!
//! sync_testing::store_suite!(Memory::default());
//! # fn main() {}
//! ```
//!
//! The suite brings no runtime: a case is a future, and [`store_suite!`] takes the attribute of any, as in
//! `store_suite!(#[tokio::test] MySubject::new())`. [`check`] runs all cases from a program and returns a
//! [`Report`]; [`check_with`] also tells each result as it comes.
//!
//! `docs/testing-your-store.md` in the repository says what the cases cover, and what they leave to the author;
//! `examples/own_store.rs` is a store in one file that passes them.
//!
//! [`store_suite!`]: crate::store_suite!

mod cases;
mod database;
mod failure;
mod held;
mod history;
mod named;
mod page;
mod polled;
mod report;
mod starting_over;
mod subject;

pub use cases::{Case, all, named};
pub use failure::{Failure, FailureKind};
pub use history::{Answer, Contents, History};
pub use report::{Report, check, check_with};
pub use subject::Subject;

/// Runs a case to its end on the calling thread, and panics with its failure. What [`store_suite!`] makes calls it.
///
/// # Panics
/// When the case fails.
#[doc(hidden)]
pub fn run(name: &str, subject: &dyn Subject) {
    futures::executor::block_on(run_async(name, subject));
}

/// As [`run`], under whatever runs the future.
///
/// # Panics
/// When the case fails.
#[doc(hidden)]
pub async fn run_async(name: &str, subject: &dyn Subject) {
    if let Err(failure) = named(name).run(subject).await {
        panic!("{name}: {failure}");
    }
}

/// Makes one test of each case of the [store suite](mod@crate::store_suite).
///
/// `store_suite!(SUBJECT)` makes plain `#[test]`s that run on the test's own thread; `store_suite!(#[ATTRIBUTE]
/// SUBJECT)` makes async tests with that one attribute, such as `#[tokio::test]` or `#[wasm_bindgen_test]`. The
/// expression `SUBJECT` is evaluated once for each test.
///
/// Each test is a function named as its case is, so two uses stand in two modules:
///
/// ```
/// # use std::sync::Arc;
/// # use async_trait::async_trait;
/// # use sync_core::{error::StoreError, store::{MemoryStore, Store}};
/// # use sync_testing::store_suite::Subject;
/// # struct Files { threads: bool }
/// # #[async_trait]
/// # impl Subject for Files {
/// #     async fn open(&self, _: &str) -> Result<Arc<dyn Store>, StoreError> {
/// #         Ok(Arc::new(MemoryStore::new()))
/// #     }
/// # }
/// mod on_its_own_thread {
///     use super::Files;
///
///     sync_testing::store_suite!(Files { threads: false });
/// }
///
/// mod on_a_runtime {
///     use super::Files;
///
///     sync_testing::store_suite!(#[tokio::test(flavor = "multi_thread")] Files { threads: true });
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_suite {
    (# $attribute:tt $subject:expr) => {
        $crate::__store_cases! { [$crate::__store_tests] [# $attribute $subject] }
    };
    ($subject:expr) => {
        $crate::__store_cases! { [$crate::__store_tests] [$subject] }
    };
}

// The attribute is one token tree, brackets and all: as a repetition it could not stand in that of the cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ([# $attribute:tt $subject:expr] $($group:ident { $($case:ident)* })*) => {
        $($(
            # $attribute
            async fn $case() {
                $crate::store_suite::run_async(stringify!($case), &$subject).await;
            }
        )*)*
    };
    ([$subject:expr] $($group:ident { $($case:ident)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::store_suite::run(stringify!($case), &$subject);
            }
        )*)*
    };
}

/// Compiles the form with an attribute where no test does, with an attribute that stands in for a runtime's.
#[cfg(target_arch = "wasm32")]
mod with_an_attribute {
    use std::sync::Arc;

    use async_trait::async_trait;
    use sync_core::{
        error::StoreError,
        store::{MemoryStore, Store},
    };

    use super::Subject;

    struct Memory;

    #[async_trait(?Send)]
    impl Subject for Memory {
        async fn open(&self, _: &str) -> Result<Arc<dyn Store>, StoreError> {
            Ok(Arc::new(MemoryStore::new()))
        }
    }

    crate::store_suite!(
        #[expect(dead_code, reason = "it is there to be compiled")]
        Memory
    );
}
