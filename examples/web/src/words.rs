//! Numbers as people read them.

/// How many there are of something.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    let called = if count == 1 { one } else { several };
    format!("{count} {called}")
}

/// How often something was done.
pub(crate) fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}
