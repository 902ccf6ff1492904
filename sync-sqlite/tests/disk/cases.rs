//! What happens in the child.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures::executor::block_on;
use sync_core::{error::StoreErrorKind, model::Scope, store::CursorStore};
use sync_sqlite::SqliteStore;

use crate::{
    edits::{FILE, count, enqueue, enqueue_until_it_fails, open},
    spaces::Space,
};

/// A case: in what folder it runs, and what happens there.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) space: Space,
    pub(crate) run: fn(&Path),
}

macro_rules! cases {
    ($($name:ident in $space:ident,)*) => {
        pub(crate) const ALL: &[Case] = &[$(
            Case { name: stringify!($name), space: Space::$space, run: $name },
        )*];
    };
}

cases! {
    a_full_disk_fails_the_edit_and_takes_it_when_there_is_room in Small,
    on_a_full_disk_a_new_database_fails_to_open_and_says_why in Small,
    a_file_that_may_not_grow_fails_the_edit_and_loses_none in Limited,
    in_a_folder_that_cannot_be_written_nothing_is_changed in ReadOnlyFolder,
    a_file_that_cannot_be_written_is_not_changed in ReadOnlyFile,
}

/// Something else takes most of the disk.
fn fill(folder: &Path, bytes: usize) -> PathBuf {
    let film = folder.join("film");
    let _ = fs::write(&film, vec![0; bytes]);
    film
}

fn a_full_disk_fails_the_edit_and_takes_it_when_there_is_room(folder: &Path) {
    let path = &folder.join(FILE);
    let film = fill(folder, 6 << 20);
    let store = open(path).unwrap();
    let (made, error) = enqueue_until_it_fails(&store, 0);
    println!("{made} edits, then: {error}");
    assert!(made > 10, "{made}");
    assert_eq!(*error.kind(), StoreErrorKind::Full);
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(count(&store), made);
    // Again and again, and another process meets the same.
    assert_eq!(
        *enqueue(&store, made).unwrap_err().kind(),
        StoreErrorKind::Full
    );
    assert_eq!(count(&store), made);
    let other = block_on(SqliteStore::open(path)).unwrap();
    assert_eq!(count(&other), made);
    assert_eq!(
        *enqueue(&other, made).unwrap_err().kind(),
        StoreErrorKind::Full
    );
    block_on(other.close());

    fs::remove_file(film).unwrap();
    for n in made..made + 30 {
        enqueue(&store, n).unwrap();
    }
    assert_eq!(count(&store), made + 30);
    block_on(store.close());
    assert_eq!(count(&open(path).unwrap()), made + 30);
}

fn on_a_full_disk_a_new_database_fails_to_open_and_says_why(folder: &Path) {
    let path = &folder.join(FILE);
    let film = fill(folder, 100 << 20);
    let error = open(path).unwrap_err();
    println!("{error}");
    assert_eq!(*error.kind(), StoreErrorKind::Full);
    assert!(error.to_string().contains("app.db"), "{error}");
    fs::remove_file(film).unwrap();
    let store = open(path).unwrap();
    enqueue(&store, 0).unwrap();
    assert_eq!(count(&store), 1);
}

fn a_file_that_may_not_grow_fails_the_edit_and_loses_none(folder: &Path) {
    let store = open(&folder.join(FILE)).unwrap();
    let (made, error) = enqueue_until_it_fails(&store, 0);
    println!("{error}\nedits {made}");
    // The system's word for it is not that the disk is full, and SQLite's is that writing failed.
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    assert!(
        error.to_string().contains("writing the file failed"),
        "{error}"
    );
    assert!(made > 10, "{made}");
    assert_eq!(count(&store), made);
    enqueue(&store, made).unwrap_err();
    assert_eq!(count(&store), made);
}

fn in_a_folder_that_cannot_be_written_nothing_is_changed(folder: &Path) {
    fs::write(folder.join("new"), "anything").unwrap_err();
    nothing_is_changed(&folder.join(FILE));
}

fn a_file_that_cannot_be_written_is_not_changed(folder: &Path) {
    fs::write(folder.join("new"), "anything").unwrap();
    nothing_is_changed(&folder.join(FILE));
}

fn nothing_is_changed(path: &Path) {
    fs::write(path, "nothing").unwrap_err();
    let error = match open(path) {
        Err(error) => error,
        Ok(store) => {
            // What can be read is read.
            assert_eq!(count(&store), 10);
            block_on(store.scope(Scope::from("baby-1"))).unwrap();
            enqueue(&store, 10).unwrap_err()
        }
    };
    println!("{error}");
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    let words = error.to_string();
    assert!(
        words.contains("read-only") || words.contains("may it be written"),
        "{words}"
    );
}
