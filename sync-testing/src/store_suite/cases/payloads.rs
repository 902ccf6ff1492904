//! Payloads come back as the same JSON, with every digit of their numbers, and so do the numbers beside them.

use sync_core::{
    model::{Op, Payload, RecordKey, Schema, Version},
    store::Edit,
};

use crate::store_suite::{
    Failure,
    database::{Database, conflict, edit, json, key, rejected, state},
    failure::{Outcome, equal, holds},
};

#[track_caller]
fn is_same(what: &str, found: Option<&Payload>, expected: &Payload) -> Outcome {
    if found.is_some_and(|found| found.same_json(expected)) {
        return Ok(());
    }
    let beginning = |payload: &Payload| payload.as_str().chars().take(60).collect::<String>();
    Err(Failure::broken(format!(
        "{what}: the payload should be the JSON {:?}, and is {:?}",
        beginning(expected),
        found.map(beginning)
    )))
}

/// Demands that payloads come back from everywhere: edited and pulled, from the view, the outbox and beneath an
/// edit, also after reopening.
async fn come_back(database: &Database<'_>, payloads: &[Payload]) -> Outcome {
    let device = database.open().await?;
    let mut page = device.page();
    for (n, payload) in payloads.iter().enumerate() {
        let create = Op::Create(payload.clone());
        device.queue(key(&format!("edited-{n}")), create).await?;
        for (id, seq) in [("pulled", 1), ("beneath", 2)] {
            let seq = n as u64 * 2 + seq;
            page = page.put_as("log", &format!("{id}-{n}"), payload.clone(), seq);
        }
    }
    device.pull("baby", page).await?;
    for n in 0..payloads.len() {
        device.update(&format!("beneath-{n}"), "over it").await?;
    }
    let device = database.reopen(device).await?;
    for (n, payload) in payloads.iter().enumerate() {
        for what in ["edited", "pulled"] {
            let row = device.row(&format!("{what}-{n}")).await?;
            is_same(what, row.as_ref().map(|row| &row.payload), payload)?;
        }
    }
    let taken = device.take().await?.entries;
    let taken: Vec<_> = taken.iter().map(|taken| &taken.entry).collect();
    let listed = device.entries().await?;
    for (n, payload) in payloads.iter().enumerate() {
        let sent = taken.get(n).and_then(|entry| entry.mutation.op.payload());
        is_same("what is sent", sent, payload)?;
        let kept = listed.get(n).and_then(|entry| entry.mutation.op.payload());
        is_same("what is in the outbox", kept, payload)?;
    }
    for (entry, payload) in taken.iter().skip(payloads.len()).zip(payloads) {
        device.answer(entry.mutation.id, rejected()).await?;
        device.store.discard(entry.mutation.key.clone()).await?;
        let row = device.store.get(entry.mutation.key.clone()).await?;
        let found = row.as_ref().map(|row| &row.payload);
        is_same("what was beneath an edit", found, payload)?;
    }
    Ok(())
}

/// The digits of a payload's only number, but for zeros at either end.
fn digits(payload: &Payload) -> String {
    let number = payload.as_str().trim_matches(|c: char| !c.is_ascii_digit());
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

pub(super) async fn numbers_keep_every_digit(database: &Database<'_>) -> Outcome {
    let numbers = [
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551617",
        "123456789012345678901234567890",
        "1.0",
        "-0.0",
        "0.1",
        "0.123456789012345678901234567891",
        "1E+2",
        "1e400",
        "-1.5e-400",
        "5e-324",
        "1.7976931348623157e308",
    ];
    let mut payloads = Vec::new();
    for number in numbers {
        payloads.push(json(&format!(r#"{{"n":{number}}}"#))?);
    }
    come_back(database, &payloads).await?;
    let device = database.open().await?;
    for (n, payload) in payloads.iter().enumerate() {
        let row = device.row(&format!("pulled-{n}")).await?;
        let found = row.map(|row| digits(&row.payload));
        equal("the digits", found, Some(digits(payload)))?;
    }
    Ok(())
}

pub(super) async fn strings_keep_every_character(database: &Database<'_>) -> Outcome {
    let texts = [
        r#"{"nul":"\u0000 and \u0001, \u001f, \u007f","between":"a\u0000b"}"#,
        r#"{"escapes":"\" \\ \/ \b \f \n \r \t","é":"\u00e9","😀":"\ud83d\ude00"}"#,
        r#"{"":"an empty name","a\u0000b":"a name with NUL","A":1,"a":2}"#,
        r#"{"__proto__":{"x":1},"constructor":2,"length":3}"#,
        r#"{"10":"names","9":"that look","-1":"like numbers"}"#,
        r#"{"json":"{\"a\":1}","number":"1","null":"null","date":"2020-01-01T00:00:00Z"}"#,
        "{\"combining\":\"e\u{301}\",\"composed\":\"\u{e9}\",\"joined\":\"👩\u{200d}👩\u{200d}👧\"}",
        "{\"edges\":\"\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}\"}",
        "{\"rtl\":\"שלום \u{202e}abc\u{202c}\",\"lines\":\"\u{2028}\u{2029}\",\"mark\":\"\u{feff}\"}",
    ];
    come_back(database, &all_of(&texts)?).await
}

pub(super) async fn any_json_keeps_its_shape(database: &Database<'_>) -> Outcome {
    let arrays = format!("{{\"deep\":{}1{}}}", "[".repeat(99), "]".repeat(99));
    let objects = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let texts = [
        arrays.as_str(),
        &objects,
        r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#,
        r#"{"none":null,"nothing":[null,[],{}],"no":false}"#,
        "[ 1,\t2 ,\n3 ]",
        "[[1],[[2]],[]]",
        "[]",
        "{}",
        "null",
        "true",
        "0",
        "\"\"",
        "\"text\"",
    ];
    come_back(database, &all_of(&texts)?).await
}

pub(super) async fn a_payload_of_null_is_not_a_missing_one(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let null = json("null")?;
    let page = device.page().put_as("log", "a", null.clone(), 1);
    device.pull("baby", page).await?;
    let id = device.queue(key("a"), Op::Update(null.clone())).await?;
    device.take().await?;
    device.answer(id, conflict(Some(null.clone()), 3)).await?;
    drop(device);

    let device = database.open().await?;
    for kept in device.store.conflicts(None).await? {
        let sides = [kept.mine, kept.theirs, kept.base];
        let null = || Some(null.clone());
        equal("the sides of the conflict", sides, [null(), null(), null()])?;
    }
    // A change from before the conflict has the record folded again, with what the answer carried.
    let page = device.page().put_as("log", "a", json("1")?, 2);
    device.pull("baby", page).await?;
    equal("the view", device.view("a").await?.as_deref(), Some("null"))
}

pub(super) async fn a_payload_of_five_megabytes_is_kept_whole(database: &Database<'_>) -> Outcome {
    let photo = "a1 é".repeat(1 << 20);
    let payload = json(&format!(r#"{{"photo":"{photo}","last":true}}"#))?;
    holds(payload.len() > 5_000_000, "it is that large")?;
    come_back(database, &[payload]).await
}

fn all_of(texts: &[&str]) -> Outcome<Vec<Payload>> {
    texts.iter().map(|text| json(text)).collect()
}

pub(super) async fn the_format_version_of_a_payload_is_kept(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let schemas = [Schema(0), Schema(7), Schema(u32::MAX)];
    let mut page = device.page();
    for (n, schema) in schemas.into_iter().enumerate() {
        let create = Edit {
            schema,
            ..edit(key(&format!("edited-{n}")), Op::Create(state("mine")?))
        };
        device.enqueue(vec![create]).await?;
        page = page.put(&format!("pulled-{n}"), "theirs", n as u64 + 1)?;
        page = page.schema(schema);
    }
    device.pull("baby", page).await?;
    let device = database.reopen(device).await?;
    let sent = device.take().await?.entries;
    for (n, schema) in schemas.into_iter().enumerate() {
        for what in ["edited", "pulled"] {
            let row = device.row(&format!("{what}-{n}")).await?;
            equal(what, row.map(|row| row.schema), Some(schema))?;
        }
        let sent = sent.get(n).map(|taken| taken.entry.mutation.schema);
        equal("what is sent", sent, Some(schema))?;
    }
    Ok(())
}

pub(super) async fn versions_keep_every_digit(database: &Database<'_>) -> Outcome {
    // The first is more than a double holds exactly.
    let seqs = [(1 << 53) + 1, i64::MAX.unsigned_abs() - 1];
    for (seq, name) in seqs.into_iter().zip(["doubles", "integers"]) {
        let database = database.another(name);
        let device = database.open().await?;
        let page = device.page().put("a", "one", seq)?;
        device.pull("baby", page).await?;
        let edit = device.update("a", "two").await?;
        let device = database.reopen(device).await?;
        let row = device.scope("baby").await?;
        let found = (row.through, row.drained);
        equal("the position scanned", found, (Some(seq), Some(seq)))?;
        let based_on = device.entry(edit).await?.mutation.base_version;
        equal(
            "what an edit is based on",
            based_on,
            Some(Version::new("e1", seq)),
        )?;
        let page = device.page().put_as("note", "a", state("one")?, seq + 1);
        device.pull("baby", page).await?;
        let note = device
            .store
            .get(RecordKey::new("baby", "note", "a"))
            .await?;
        equal(
            "a record's number",
            note.and_then(|row| row.seq),
            Some(seq + 1),
        )?;
        let row = device.row("a").await?;
        equal(
            "an edited record's number",
            row.and_then(|row| row.seq),
            Some(seq),
        )?;
    }
    Ok(())
}
