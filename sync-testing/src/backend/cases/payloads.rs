//! What is passed on as it came.

use std::time::Duration;

use sync_core::{
    model::{EntityId, Op, Payload, Schema, Version},
    transport::Verdict,
};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{MANY, word},
        trial::{Trial, over},
    },
    Case, Feeds, case,
};

const GROUP: &str = "payloads and answers";

pub(super) const CASES: &[Case] = &[
    case!(
        GROUP,
        a_payload_comes_back_character_by_character,
        "key order, white space, integers beyond a double and the spelling of numbers are as they were sent"
    )
    .feeds(Feeds::Unpromised("a feed's server may write a record anew")),
    case!(
        GROUP,
        the_format_version_of_a_payload_comes_back_with_it,
        "schema, as it was sent, in the change and in the record of a conflict; 0, or none, where none was sent"
    )
    .feeds(Feeds::Inexpressible("a feed has no format versions")),
    case!(
        GROUP,
        any_characters_will_do_in_an_id,
        "quotes, slashes, white space, a null character and emoji in an entity id, as they were sent"
    )
    .feeds(Feeds::Unpromised("a feed's server may want ids of a form of its own")),
    case!(
        GROUP,
        answers_are_not_to_be_cached,
        "Cache-Control: no-store with pages, answers and refusals"
    )
    .feeds(Feeds::Unpromised("a feed does not say so")),
];

async fn a_payload_comes_back_character_by_character(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    let plain = trial.payload(&scope, &id, "odd").as_str().to_owned();
    let inside = plain.trim_start_matches('{').trim_end_matches('}');
    let odd = format!(
        "{{ \"z\": 1.0,\t\"a\":12345678901234567890123, \"e\":1E-7 ,\"u\":\"\\u00e9\\/\", {inside} }}"
    );
    let payload = Payload::parse(odd.as_str()).map_err(|error| Broken::new(error.to_string()))?;
    me.apply_one(&trial.edit(&scope, &id, Op::Create(payload)))
        .await?;
    let change = me.newest(&scope, &id).await?;
    let found = change.as_ref().and_then(|change| change.op.payload());
    equal("the record", found.map(Payload::as_str), Some(odd.as_str()))?;
    Ok(format!("{} characters", odd.len()))
}

async fn the_format_version_of_a_payload_comes_back_with_it(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let id = trial.id();
    for schema in [3, 0, 4_000_000_000].map(Schema) {
        let version = trial.version(&scope, &id).await?;
        let mut edit = over(trial.create(&scope, &id, "formatted"), version.as_ref());
        edit.mutation.schema = schema;
        me.apply_one(&edit).await?;
        let newest = me.newest(&scope, &id).await?;
        let found = newest.map(|change| change.schema);
        equal("the schema in the log", found, Some(schema))?;
    }
    let mut older = trial.update(&scope, &id, "older");
    older.age = Duration::from_secs(3_600);
    older.mutation.base_version = Some(Version::new("an epoch that no server has", 1));
    if let Verdict::Conflict { theirs } = me.push_one(&older).await? {
        let expected = Schema(4_000_000_000);
        equal("the schema in a conflict's record", theirs.schema, expected)?;
    }
    Ok("3, 0 and 4000000000, as they were sent".to_owned())
}

async fn any_characters_will_do_in_an_id(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let odd = format!("\"'/?&#%20 \\\t\u{0}\u{1f37c}é{}", trial.id().as_str());
    let id = EntityId::from(odd);
    let verdict = me.push_one(&trial.create(&scope, &id, "odd")).await?;
    holds(matches!(verdict, Verdict::Applied { .. }), || {
        word(&verdict)
    })?;
    let newest = me.newest(&scope, &id).await?;
    holds(newest.is_some(), || "no change has this id".to_owned())?;
    Ok("applied, and pulled under the same id".to_owned())
}

async fn answers_are_not_to_be_cached(trial: &Trial<'_>) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let create = trial.create(&scope, &trial.id(), "kept by nobody");
    let asks = [
        ("a page", me.pull_ask(&scope, None, MANY)),
        ("answers", me.post(me.body(&me.request(&[create]))?)),
        ("a refusal", me.post("")),
    ];
    for (what, ask) in asks {
        let seen = me.send(ask).await?;
        equal(what, seen.header("cache-control"), "no-store")?;
    }
    Ok("no-store".to_owned())
}
