//! The baby log in a real browser, as people use it: each profile is a device, and has nothing but the page.
//!
//! `cargo xtask test --only browser` builds the page and names it in `BABY_LOG_PAGES`; screenshots go to the folder that
//! `BABY_LOG_SCREENSHOTS` names. A machine needs Chromium and its chromedriver.

mod browser;
mod demo;
mod page;
mod script;

use demo::Demo;
use page::Page;

/// What went wrong, with what was waited for.
type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// Alice's page with a baby and a feed that the server has.
async fn alice_with_a_feed(demo: &Demo) -> Result<Page> {
    let alice = demo.log_in("alice").await?;
    alice.fill("Babies", "Name of a new baby", "Mia").await?;
    alice.press("Babies", "Add baby").await?;
    alice.see("Babies", "Mia").await?;
    alice.add_feed("120").await?;
    alice.see("Sync status", "Everything is sent").await?;
    Ok(alice)
}

/// Alice's page as before, and Bob's, with whom she shares the baby.
async fn two_caregivers(demo: &Demo) -> Result<(Page, Page)> {
    let alice = alice_with_a_feed(demo).await?;
    alice.open("Sharing").await?;
    let who = "Account to share with";
    alice.fill("Babies", who, "bob").await?;
    alice.press("Babies", "Share").await?;
    alice.see("Babies", "bob (editor)").await?;
    let bob = demo.log_in("bob").await?;
    bob.see("Feeds", "120 ml").await?;
    Ok((alice, bob))
}

#[tokio::test]
async fn what_one_caregiver_writes_down_corrects_and_deletes_the_other_sees() -> Result {
    let demo = Demo::start()?;
    let (alice, bob) = two_caregivers(&demo).await?;
    alice.correct("120 ml", "130").await?;
    bob.see("Feeds", "130 ml").await?;
    alice.screenshots("shared").await?;
    bob.delete("130 ml").await?;
    alice.miss("Feeds", "130 ml").await
}

#[tokio::test]
async fn edits_made_offline_wait_and_go_out_with_the_network() -> Result {
    let demo = Demo::start()?;
    let (alice, bob) = two_caregivers(&demo).await?;
    bob.switch().await?;
    bob.add_feed("80").await?;
    bob.see("Sync status", "1 edit waits").await?;
    bob.see("Feeds", "waits").await?;
    bob.screenshots("offline").await?;
    // Still there when the page is opened again.
    bob.reload().await?;
    bob.see("Feeds", "80 ml").await?;
    alice.see("Feeds", "80 ml").await?;
    bob.see("Sync status", "Everything is sent").await
}

#[tokio::test]
async fn whoever_loses_a_conflict_is_asked_and_may_insist() -> Result {
    let demo = Demo::start()?;
    let (alice, bob) = two_caregivers(&demo).await?;
    bob.switch().await?;
    bob.correct("120 ml", "150").await?;
    alice.correct("120 ml", "90").await?;
    alice.see("Sync status", "Everything is sent").await?;
    bob.switch().await?;
    // Whose edit was the later one is a matter of milliseconds: the other is asked.
    let loser = page::first_to_see(&[&alice, &bob], "Decisions", "Edited by two").await?;
    loser.screenshots("conflict").await?;
    // By the keyboard alone, with the consequence said before the decision.
    loser.tab_to("Use mine").await?;
    let said = loser.description().await?;
    assert!(said.contains("writes it over theirs"), "{said}");
    loser.keys(page::SPACE).await?;
    loser.see("Decisions", "None").await?;
    let insisted = if loser.name() == "bob" {
        "150 ml"
    } else {
        "90 ml"
    };
    alice.see("Feeds", insisted).await?;
    bob.see("Feeds", insisted).await
}

#[tokio::test]
async fn when_a_baby_is_shared_no_more_its_records_go_and_unsent_edits_are_shown() -> Result {
    let demo = Demo::start()?;
    let (alice, bob) = two_caregivers(&demo).await?;
    bob.switch().await?;
    bob.add_feed("77").await?;
    bob.see("Sync status", "1 edit waits").await?;
    alice.press("Babies", "Stop sharing with bob").await?;
    alice.miss("Babies", "bob (editor)").await?;
    bob.switch().await?;
    bob.see("Decisions", "Not shared with you any more").await?;
    bob.see("Decisions", "77 ml").await?;
    bob.see("Sync status", "1 edit was not sent").await?;
    bob.miss("Sync status", "Everything is sent").await?;
    bob.see("Babies", "No baby yet").await?;
    bob.screenshots("revoked").await?;
    alice.see("Feeds", "120 ml").await
}

#[tokio::test]
async fn a_page_that_is_reloaded_in_the_middle_of_a_push_sends_it_once() -> Result {
    let demo = Demo::start()?;
    let (alice, bob) = two_caregivers(&demo).await?;
    alice.lose_answers_of_pushes().await?;
    alice.add_feed("33").await?;
    alice.wait_for_a_lost_answer().await?;
    alice.reload().await?;
    alice.see("Sync status", "Everything is sent").await?;
    for page in [&alice, &bob] {
        page.see("Feeds", "33 ml").await?;
        assert_eq!(page.count("Feeds", "33 ml").await?, 1, "{}", page.name());
    }
    Ok(())
}

#[tokio::test]
async fn two_tabs_work_as_one() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    let first = alice.tab().await?;
    let second = alice.open_tab(demo.url()).await?;
    alice.see("Sync status", "Another tab syncs").await?;
    alice.add_feed("44").await?;
    alice.see("Sync status", "Everything is sent").await?;
    alice.show_tab(&first).await?;
    alice.see("Feeds", "44 ml").await?;
    alice.close_tab().await?;
    // The other leads now.
    alice.show_tab(&second).await?;
    alice.miss("Sync status", "Another tab syncs").await?;
    alice.add_feed("55").await?;
    alice.see("Sync status", "Everything is sent").await
}

#[tokio::test]
async fn the_inspector_shows_what_waits_and_what_was_asked() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    alice.open("Inspector").await?;
    alice.see("Requests", "pull").await?;
    alice.see("Cursors", "home-alice").await?;
    alice.see("Overlay", "None.").await?;
    alice.switch().await?;
    alice.add_feed("99").await?;
    alice.see("Overlay", "create").await?;
    alice.see("Overlay", "waits").await?;
    alice.correct("120 ml", "130").await?;
    alice.see("Overlay", "\"amountMl\": 130").await?;
    alice.see("Bases", "feed_log").await?;
    alice.see("Bases", "\"amountMl\": 120").await?;
    alice.screenshots_of("Inspector", "inspector").await?;
    alice.switch().await?;
    alice.see("Requests", "push 2 edits").await?;
    alice.see("Overlay", "None.").await?;
    alice.see("Bases", "None.").await
}

#[tokio::test]
async fn an_edit_that_the_server_refuses_is_shown_until_it_is_discarded_or_corrected() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    alice.add_feed("5000").await?;
    alice.see("Decisions", "An edit was refused").await?;
    alice.see("Decisions", "No baby drinks 5000 ml").await?;
    alice.see("Feeds", "failed").await?;
    alice.see("Sync status", "1 edit was refused").await?;
    alice.miss("Sync status", "Everything is sent").await?;
    alice.screenshots("failed").await?;
    alice.hold_the_database("baby-log-alice").await?;
    alice.press("Decisions", "Try again").await?;
    alice.see_busy("Decisions", true).await?;
    alice.release_the_database().await?;
    alice.see_busy("Decisions", false).await?;
    alice.see("Decisions", "No baby drinks 5000 ml").await?;
    alice.press("Decisions", "Discard").await?;
    alice.miss("Feeds", "5000 ml").await?;
    alice.see("Decisions", "None").await?;
    // One that is corrected needs no decision.
    alice.add_feed("4000").await?;
    alice.see("Decisions", "No baby drinks 4000 ml").await?;
    alice.correct("4000 ml", "400").await?;
    alice.see("Decisions", "None").await?;
    alice.see("Sync status", "Everything is sent").await?;
    alice.see("Feeds", "400 ml").await
}

#[tokio::test]
async fn a_form_keeps_what_it_holds_until_that_is_stored_and_stores_it_once() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    alice.hold_the_database("baby-log-alice").await?;
    alice.fill("Feeds", "Amount", "71").await?;
    alice.fill("Feeds", "Note", "tired").await?;
    alice.keys(&page::ENTER.repeat(2)).await?;
    alice.see_busy("Feeds", true).await?;
    assert_eq!(alice.value("Feeds", "note").await?, "tired");
    alice.reload_once_clear("Feeds", "note").await?;
    alice.release_the_database().await?;
    alice.see("Feeds", "71 ml").await?;
    alice.see("Feeds", "tired").await?;
    // One that is stored before the second press comes is not followed by an empty one.
    alice.fill("Feeds", "Amount", "72").await?;
    alice.keys(&page::ENTER.repeat(2)).await?;
    alice.see("Feeds", "72 ml").await?;
    alice.see_busy("Feeds", false).await?;
    alice.see("Sync status", "Everything is sent").await?;
    for feed in ["71 ml", "72 ml", "120 ml"] {
        assert_eq!(alice.count("Feeds", feed).await?, 1, "{feed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_screen_reader_hears_what_became_of_the_edits() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    alice.listen().await?;
    alice.switch().await?;
    alice.hear("Offline. Everything is sent").await?;
    alice.add_feed("70").await?;
    alice.hear("Offline. 1 edit waits").await?;
    alice.switch().await?;
    alice.hear("Everything is sent").await?;
    alice.add_feed("5000").await?;
    alice.hear("1 edit was refused").await
}

#[tokio::test]
async fn who_logs_out_is_told_what_was_not_sent_and_loses_nothing_unasked() -> Result {
    let demo = Demo::start()?;
    let alice = alice_with_a_feed(&demo).await?;
    alice.switch().await?;
    alice.add_feed("60").await?;
    alice.press("Account", "Log out alice").await?;
    alice
        .see("Account", "Edits that are not on the server: 1")
        .await?;
    alice.screenshots_of("Account", "log-out").await?;
    alice.press("Account", "Stay").await?;
    alice.see("Feeds", "60 ml").await?;
    alice.press("Account", "Log out alice").await?;
    alice.press("Account", "Log out and lose it").await?;
    alice.see("Accounts", "Alice").await?;
    alice.screenshots("login").await?;
    alice.press("Accounts", "alice").await?;
    alice.see("Feeds", "120 ml").await?;
    alice.miss("Feeds", "60 ml").await
}

#[tokio::test]
async fn everything_is_reached_by_keyboard_and_has_a_name() -> Result {
    let demo = Demo::start()?;
    let alice = demo.open("alice").await?;
    alice.tab_to("Alice").await?;
    alice.keys(page::ENTER).await?;
    alice.see("Babies", "No baby yet").await?;
    alice.tab_to("Name of a new baby").await?;
    alice.keys("Mia").await?;
    alice.keys(page::ENTER).await?;
    alice.see("Babies", "Mia").await?;
    alice.tab_to("Amount").await?;
    alice
        .keys(&format!("{}90{}", page::ALL, page::ENTER))
        .await?;
    alice.see("Feeds", "90 ml").await?;
    alice.tab_to("Edit feed, 90 ml").await?;
    alice.keys(page::SPACE).await?;
    alice.tab_to("Amount").await?;
    alice
        .keys(&format!("{}95{}", page::ALL, page::ENTER))
        .await?;
    alice.see("Feeds", "95 ml").await?;
    alice.tab_to("Sharing").await?;
    alice.keys(page::SPACE).await?;
    alice.see("Babies", "Account to share with").await?;
    alice.tab_to("Online").await?;
    alice.keys(page::SPACE).await?;
    alice.see("Sync status", "Offline.").await?;
    alice.keys(page::ENTER).await?;
    alice.miss("Sync status", "Offline.").await?;
    alice.tab_to("Inspector").await?;
    alice.keys(page::ENTER).await?;
    alice.see("Inspector", "Cursors").await?;
    assert_eq!(alice.nameless().await?, Vec::<String>::new());
    alice.tab_to("Delete feed, 95 ml").await?;
    alice.keys(page::SPACE).await?;
    alice.miss("Feeds", "95 ml").await
}
