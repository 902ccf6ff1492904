//! Scopes, types and ids are any text, and no two texts are the same.

use std::collections::BTreeSet;

use sync_core::{
    model::{Op, RecordKey, Scope},
    store::EntryFilter,
};

use super::records::{listed, listed_in_steps};
use crate::store_suite::{
    database::{Database, Device, state},
    failure::{Outcome, equal, holds},
};

/// The keys that a text makes: as an id, as a type, and as a scope.
fn keys_of(text: &str) -> [RecordKey; 3] {
    [
        RecordKey::new("baby", "log", text),
        RecordKey::new("baby", text, "id"),
        RecordKey::new(text, "log", "id"),
    ]
}

/// What tells the record of one text from that of another.
fn word(n: usize) -> String {
    format!("text {n}")
}

async fn are_found(device: &Device, texts: &[&str]) -> Outcome {
    for (n, text) in texts.iter().enumerate() {
        for key in keys_of(text) {
            let what = format!("the record of {:?}", start_of(text));
            let row = device.store.get(key.clone()).await?;
            holds(
                row.as_ref().is_none_or(|row| row.key == key),
                "a record comes with the key that was asked for",
            )?;
            let found = row.map(|row| row.payload.as_str().to_owned());
            let expected = state(&word(n))?.as_str().to_owned();
            equal(&what, found, Some(expected))?;
        }
    }
    Ok(())
}

/// Enough of a text for a message.
fn start_of(text: &str) -> String {
    text.chars().take(60).collect()
}

fn set<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    texts
        .into_iter()
        .map(|text| text.as_ref().to_owned())
        .collect()
}

/// Demands that each text names records of its own, edited or pulled, and that each is found again, alone and in
/// lists, also after reopening.
async fn are_kept_apart(database: &Database<'_>, texts: &[&str]) -> Outcome {
    let device = database.open().await?;
    let mut page = device.page();
    let mut edited = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let payload = state(&word(n))?;
        if n % 2 == 0 {
            let seq = n as u64;
            page = page.put_as("log", text, payload.clone(), seq + 1);
            page = page.put_as(text, "id", payload.clone(), seq + 2);
            let own = device.page().put_as("log", "id", payload, 1);
            device.pull(text, own).await?;
        } else {
            for key in keys_of(text) {
                device
                    .queue(key.clone(), Op::Create(payload.clone()))
                    .await?;
                edited.push(key);
            }
        }
    }
    device.pull("baby", page).await?;
    are_found(&device, texts).await?;
    let device = database.reopen(device).await?;
    are_found(&device, texts).await?;

    let logs = ("baby", "log");
    let found = listed(&device, logs, None, None).await?;
    equal("the number of ids in the list", found.len(), texts.len())?;
    holds(set(&found) == set(texts), "the list has each of the ids")?;
    let in_steps = listed_in_steps(&device, logs, 2).await?;
    holds(in_steps == found, "the list in steps is the list")?;
    let rows = device.store.scopes().await?;
    let names = set(rows.iter().map(|row| &row.scope));
    let expected = set(texts.iter().copied().chain(["baby"]));
    holds(names == expected, "each of the scopes is listed")?;
    for key in edited {
        let filter = EntryFilter {
            key: Some(key),
            ..EntryFilter::default()
        };
        let entries = device.store.entries(filter).await?.len();
        equal("the number of a record's edits", entries, 1)?;
    }

    // What goes is this one, and no other.
    if let Some((first, others)) = texts.split_first() {
        device
            .pull("baby", device.page().remove(first, 1_000))
            .await?;
        let found = listed(&device, logs, None, None).await?;
        holds(set(found) == set(others), "only one of the ids has gone")?;
    }
    Ok(())
}

pub(super) async fn any_text_is_a_scope_a_type_and_an_id(database: &Database<'_>) -> Outcome {
    let texts = [
        "",
        "\0",
        "a\0b",
        "a\0c",
        "a",
        "'; DROP TABLE records; --",
        "\"quoted\"",
        "back\\slash",
        "a/b",
        "../a",
        "%",
        "_",
        "*",
        "0",
        "00",
        "1e3",
        "x'00'",
        "null",
        "__proto__",
        "日本語 👶🏽",
        "👩\u{200d}👩\u{200d}👧",
        "שלום",
        "\u{202e}abc",
        "\u{d7ff}",
        "\u{e000}",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
    ];
    are_kept_apart(database, &texts).await
}

pub(super) async fn texts_that_differ_only_by_case_are_different(
    database: &Database<'_>,
) -> Outcome {
    let texts = [
        "milk", "Milk", "MILK", "straße", "STRASSE", "strasse", "ä", "Ä",
    ];
    are_kept_apart(database, &texts).await
}

pub(super) async fn texts_that_differ_only_by_normalisation_are_different(
    database: &Database<'_>,
) -> Outcome {
    // Composed and not; a ligature; full width; the sign and the letter.
    let texts = [
        "\u{e9}", "e\u{301}", "e", "\u{fb01}", "fi", "\u{ff41}", "a", "\u{212b}", "\u{c5}",
        "A\u{30a}",
    ];
    are_kept_apart(database, &texts).await
}

pub(super) async fn texts_that_differ_only_by_what_they_begin_or_end_with_are_different(
    database: &Database<'_>,
) -> Outcome {
    let texts = [
        "a",
        "a ",
        "a  ",
        " a",
        "a\0",
        "a\0\0",
        "\0a",
        "a\n",
        "a\t",
        "a\u{a0}",
        "a\u{200b}",
        "\u{feff}a",
    ];
    are_kept_apart(database, &texts).await
}

pub(super) async fn uuids_are_text_too(database: &Database<'_>) -> Outcome {
    let texts = [
        "018bcfe5-680e-7d03-89e9-f4c7417ef5cc",
        "018BCFE5-680E-7D03-89E9-F4C7417EF5CC",
        "018bcfe5-680e-7d03-89e9-F4C7417EF5CC",
        "018bcfe5680e7d0389e9f4c7417ef5cc",
        "018BCFE5680E7D0389E9F4C7417EF5CC",
        "{018bcfe5-680e-7d03-89e9-f4c7417ef5cc}",
        "urn:uuid:018bcfe5-680e-7d03-89e9-f4c7417ef5cc",
        "018bcfe5-680e-7d03-89e9-f4c7417ef5cc ",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    are_kept_apart(database, &texts).await
}

pub(super) async fn very_long_texts_are_told_apart_by_their_ends(
    database: &Database<'_>,
) -> Outcome {
    let long = "0123456789".repeat(2_000);
    let texts = [
        format!("{long}a"),
        format!("{long}b"),
        format!("{long}ab"),
        long,
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    are_kept_apart(database, &texts).await
}

pub(super) async fn the_parts_of_a_key_do_not_run_into_one_another(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let mut keys = Vec::new();
    for joint in ["/", ":", "|", ",", "\0", "\u{1f}", "\u{ffff}", "\",\"", ""] {
        let joined = format!("x{joint}y");
        keys.push(RecordKey::new(joined.clone(), "y", "z"));
        keys.push(RecordKey::new("x", joined.clone(), "z"));
        keys.push(RecordKey::new("x", "y", joined.clone()));
        keys.push(RecordKey::new("x", "x", joined));
        keys.push(RecordKey::new("x", format!("x{joint}x"), "y"));
    }
    for (n, key) in keys.iter().enumerate() {
        device
            .queue(key.clone(), Op::Create(state(&word(n))?))
            .await?;
    }
    let device = database.reopen(device).await?;
    for (n, key) in keys.iter().enumerate() {
        let row = device.store.get(key.clone()).await?;
        let found = row.map(|row| row.payload.as_str().to_owned());
        let expected = state(&word(n))?.as_str().to_owned();
        equal(&format!("the record {key:?}"), found, Some(expected))?;
    }
    let count = device.store.count(Scope::from("x"), None).await?;
    let of_x = keys.iter().filter(|key| key.scope.as_str() == "x").count();
    equal("the number of records", count, of_x as u64)
}
