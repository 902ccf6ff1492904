//! What an error may say: words of our own, and numbers. Anything else would be a quotation of what was received.

use std::{collections::HashSet, sync::LazyLock};

/// The words of the messages of `Malformed`, of serde_json, of the router and of the server's logic.
const WORDS: &str = "
    a an and another any are as at be behind boolean but by called characters come comes could cannot
    EOF while parsing object list string value values expected invalid type number
    escape control character u0000 u001F found in lone leading surrogate hex key must name trailing
    comma unexpected end of
    line column field fields missing twice something nothing there here is it its no not null sequence map
    struct variant enum element elements with
    f32 f64 i32 i64 u8 u16 u32 u64 unit float integer the true false ident recursion limit exceeded
    JSON UTF 8 UUID out range expression
    flag objects strings or conflict record without put payload unknown status
    create update delete remove needs op known
    account accounts token than request s header read account than
    body encoding gzip none large too bytes mutations more most allowed batch
    utf from index incomplete byte sequence
    formatted String identifier VerdictKind ChangeKind
    cannot parse integer from target digit number
    method used use pull start access this scope scopes
    mutation id rejected before after same different content
    several hold names stored again
    log Failed to deserialize query digit empty fit small duplicate
    Unauthorized Access denied baby Not now try
    expired checked later sent under earlier one was has been
    server answered other available asks login network page portal answer malformed reached respond
    refused log in belongs denies cursor redirected redirect often nowhere follow follows does that If address base
    make did time longer for format
";

/// The names of the protocol's fields and of the presets', and the words that they hold.
const NAMES: &str = "
    account answers after ageMs babyId base by changes code createdAt cursor cursors data entityId entityType epoch
    error group hasMore id limit message mutationId mutationIds mutations newCursor next nextCursor op overwritten
    payload reason record results resync retryAfterMs schema scope seq serverData since status success through type
    updatedAt verdict verdictRetentionMs version
    applied forbidden rejected retry bad_request unauthorized not_found other_account cursor_expired too_large
    rate_limited unavailable sync api v1 push
";

static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let names = NAMES.split_whitespace();
    WORDS.split_whitespace().chain(names).collect()
});

/// Panics when a message holds a word of somebody else, or says nothing.
pub(crate) fn assert_ours(message: &str) {
    assert!(!message.is_empty(), "an error without a message");
    let is_part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    for word in message.split(|c| !is_part_of_word(c)) {
        let is_known = word.bytes().all(|byte| byte.is_ascii_digit()) || KNOWN.contains(word);
        assert!(is_known, "{word:?} is quoted in: {message}");
    }
}

/// Panics when a decoder's message quotes the input, or does not say where.
pub(crate) fn assert_names_a_place(error: &sync_http::Malformed) {
    let message = error.to_string();
    assert_ours(&message);
    assert!(
        message.contains(" in ") || message.contains(" at line "),
        "no place: {message}"
    );
}
