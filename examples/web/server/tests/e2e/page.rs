//! The page as a person uses it: by the names of its parts, its labels, and what is written on its buttons.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Result,
    browser::{Browser, Element, Refused},
};

/// How long anything may take: a revocation wants two refusals, some seconds apart, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(40);
const PERIOD: Duration = Duration::from_millis(50);

/// What a picture is named after, and its size.
type Device = (&'static str, u32, u32);
const PHONE: Device = ("phone", 390, 844);
const DESK: Device = ("desk", 1280, 800);

/// What the keys send.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const SPACE: &str = " ";
/// Control and A, and no longer control: what is typed next replaces what a field holds.
pub(crate) const ALL: &str = "\u{e009}a\u{e000}";
const TAB: &str = "\u{e004}";

/// The name by which an element is announced.
const NAME: &str = "
    const name = (element) => (element.getAttribute('aria-label')
        || element.labels?.[0]?.innerText || element.innerText || '').trim();";

/// What came of using an element.
type Used = Result<(), Refused>;

pub(crate) struct Page {
    pub(crate) browser: Browser,
    name: String,
    screenshots: Option<PathBuf>,
}

impl Page {
    pub(crate) fn new(browser: Browser, name: &str, screenshots: Option<PathBuf>) -> Self {
        Self {
            browser,
            name: name.to_owned(),
            screenshots,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until a part of the page has this text.
    pub(crate) async fn see(&self, part: &str, text: &str) -> Result {
        self.until(&format!("`{text}` in {part}"), async || {
            Ok(self.text(part).await?.contains(text))
        })
        .await
    }

    /// Waits until a part of the page, if it is there, no longer has this text.
    pub(crate) async fn miss(&self, part: &str, text: &str) -> Result {
        self.until(&format!("no `{text}` in {part}"), async || {
            Ok(!self.text(part).await?.contains(text))
        })
        .await
    }

    /// How often a part of the page has this text.
    pub(crate) async fn count(&self, part: &str, text: &str) -> Result<usize> {
        Ok(self.text(part).await?.matches(text).count())
    }

    pub(crate) async fn press(&self, part: &str, label: &str) -> Result {
        let button = format!(
            "{}//button[normalize-space()='{label}' or starts-with(@aria-label, '{label}')]",
            within(part)
        );
        self.click(&button).await
    }

    /// Replaces what a field holds.
    pub(crate) async fn fill(&self, part: &str, label: &str, text: &str) -> Result {
        let field = format!(
            "{}//label[starts-with(normalize-space(), '{label}')]/input",
            within(part)
        );
        let keys = format!("{ALL}{text}");
        self.with(&field, async |element| element.send_keys(&keys).await)
            .await
    }

    /// Opens what is folded up.
    pub(crate) async fn open(&self, summary: &str) -> Result {
        self.click(&format!("//summary[normalize-space()='{summary}']"))
            .await
    }

    /// Turns the network of this page on or off.
    pub(crate) async fn switch(&self) -> Result {
        self.click("//button[@role='switch']").await
    }

    /// Writes a feed down, and waits until it is in the list: from then on it is in the database.
    pub(crate) async fn add_feed(&self, amount: &str) -> Result {
        self.fill("Feeds", "Amount", amount).await?;
        self.press("Feeds", "Add feed").await?;
        self.see("Feeds", &format!("{amount} ml")).await
    }

    pub(crate) async fn correct(&self, feed: &str, amount: &str) -> Result {
        self.press("Feeds", &format!("Edit feed, {feed}")).await?;
        self.fill("Feeds", "Amount", amount).await?;
        self.press("Feeds", "Save feed").await?;
        self.see("Feeds", &format!("{amount} ml")).await
    }

    pub(crate) async fn delete(&self, feed: &str) -> Result {
        self.press("Feeds", &format!("Delete feed, {feed}")).await
    }

    pub(crate) async fn reload(&self) -> Result {
        self.browser.reload().await
    }

    pub(crate) async fn tab(&self) -> Result<String> {
        self.browser.tab().await
    }

    /// Opens another tab of the same profile, and goes there.
    pub(crate) async fn open_tab(&self, url: &str) -> Result<String> {
        let tab = self.browser.open_tab().await?;
        self.show_tab(&tab).await?;
        self.browser.open(url).await?;
        Ok(tab)
    }

    pub(crate) async fn show_tab(&self, tab: &str) -> Result {
        self.browser.show_tab(tab).await
    }

    pub(crate) async fn close_tab(&self) -> Result {
        self.browser.close_tab().await
    }

    /// Types, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) -> Result {
        Ok(self.browser.focused().await?.send_keys(keys).await?)
    }

    /// Goes on by the tab key until what has the focus has this name.
    pub(crate) async fn tab_to(&self, name: &str) -> Result {
        for _ in 0..100 {
            self.keys(TAB).await?;
            let focused = format!("{NAME} return name(document.activeElement);");
            let focused = self.browser.execute(&focused).await?;
            if focused.as_str().is_some_and(|its| its.starts_with(name)) {
                return Ok(());
            }
        }
        Err(format!("{} never came to {name} by the tab key", self.name).into())
    }

    /// The controls that a screen reader has no name for.
    pub(crate) async fn nameless(&self) -> Result<Vec<String>> {
        let script = format!(
            "{NAME} return [...document.querySelectorAll('button, input, select, summary')]
                .filter((element) => !name(element)).map((element) => element.outerHTML);"
        );
        let found = self.browser.execute(&script).await?;
        Ok(serde_json::from_value(found)?)
    }

    /// Looks at the page on a desk and on a phone, in the light and in the dark, and keeps pictures where they are
    /// wanted; nothing may be wider than the page.
    pub(crate) async fn screenshots(&self, name: &str) -> Result {
        self.screenshots_of("Sync status", name).await
    }

    /// As before, of a part that is further down.
    pub(crate) async fn screenshots_of(&self, part: &str, name: &str) -> Result {
        for (device, width, height) in [PHONE, DESK] {
            for scheme in ["dark", "light"] {
                self.browser.look(width, height, scheme).await?;
                self.show(part).await?;
                let wide = self.wider_than_the_page().await?;
                assert!(wide.is_empty(), "{name} on a {device}: {wide:?}");
                self.screenshot(&format!("{name}-{device}-{scheme}"))
                    .await?;
            }
        }
        Ok(())
    }

    async fn screenshot(&self, name: &str) -> Result {
        if let Some(folder) = &self.screenshots {
            let picture = self.browser.screenshot().await?;
            fs::write(folder.join(format!("{name}.png")), picture)?;
        }
        Ok(())
    }

    /// The text of a part of the page; none where it is not there, or goes while it is read.
    async fn text(&self, part: &str) -> Result<String> {
        let path = within(part);
        let read = async { self.browser.find(&path).await?.text().await };
        match read.await {
            Err(error) if error.is_transient() => Ok(String::new()),
            read => Ok(read?),
        }
    }

    /// Does something to an element as soon as it is there and can be used.
    async fn with(&self, path: &str, act: impl AsyncFn(Element<'_>) -> Used) -> Result {
        self.until(path, async || {
            let used = async { act(self.browser.find(path).await?).await };
            match used.await {
                Err(error) if error.is_transient() => Ok(false),
                used => Ok(used.map(|()| true)?),
            }
        })
        .await
    }

    async fn click(&self, path: &str) -> Result {
        self.with(path, async |element| element.click().await).await
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result {
        let began = Instant::now();
        while !is_so().await? {
            if began.elapsed() > PATIENCE {
                self.screenshot("failed").await?;
                return Err(format!("{} waited for {what}", self.name).into());
            }
            tokio::time::sleep(PERIOD).await;
        }
        Ok(())
    }
}

/// The first of several pages on which a part has this text.
pub(crate) async fn first_to_see<'a>(
    pages: &[&'a Page],
    part: &str,
    text: &str,
) -> Result<&'a Page> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        for page in pages {
            if page.text(part).await?.contains(text) {
                return Ok(page);
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
    Err(format!("nobody saw `{text}` in {part}").into())
}

/// A part of the page by its name.
fn within(part: &str) -> String {
    format!("//*[@aria-label='{part}']")
}
