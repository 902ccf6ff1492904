//! What a person cannot do or see, and a script in the page can.

use serde_json::Value;

use crate::{Result, page::Page};

/// Answers of pushes are lost from here on; the requests arrive.
const LOSE_ANSWERS: &str = "
    const fetch = window.fetch;
    window.lost = 0;
    window.fetch = async (url, init) => {
        const answer = await fetch(url, init);
        if (init?.method !== 'POST') return answer;
        window.lost += 1;
        return new Promise(() => {});
    };";

/// Waits in front of everybody else who wants the database, by a transaction that goes on until it is let go.
const HOLD: &str = "
    const opening = indexedDB.open('{database}');
    opening.onsuccess = () => {
        const database = opening.result;
        const names = [...database.objectStoreNames];
        const transaction = database.transaction(names, 'readwrite');
        const store = transaction.objectStore(names[0]);
        const goOn = () => {
            window.held = true;
            if (window.released) database.close();
            else store.get('nothing').onsuccess = goOn;
        };
        goOn();
    };";

/// Reloads the page as soon as a field is empty.
const RELOAD_ONCE_CLEAR: &str = "
    const field = document.querySelector('[aria-label={part}] [name={field}]');
    const look = () => field.value === '' ? location.reload() : setTimeout(look);
    look();";

/// Writes down what the live region of the status says from here on.
const LISTEN: &str = "
    const region = document.querySelector('[aria-live=polite]');
    window.said = [];
    new MutationObserver(() => window.said.push(region.innerText))
        .observe(region, { childList: true, characterData: true, subtree: true });";

/// What does not fit: the page itself, or on a desk a table in its frame.
const WIDE: &str = "
    const phone = innerWidth < 960;
    return [document.documentElement, ...(phone ? [] : document.querySelectorAll('.scroll'))]
        .filter((element) => element.scrollWidth > element.clientWidth)
        .map((element) => element.outerHTML.slice(0, 200));";

/// What a screen reader says of the focused element beside its name.
const DESCRIPTION: &str = "
    const id = document.activeElement.getAttribute('aria-describedby');
    return document.getElementById(id)?.innerText ?? '';";

impl Page {
    pub(crate) async fn lose_answers_of_pushes(&self) -> Result {
        self.browser.execute(LOSE_ANSWERS).await?;
        Ok(())
    }

    pub(crate) async fn wait_for_a_lost_answer(&self) -> Result {
        self.until("a lost answer", async || {
            let lost = self.browser.execute("return window.lost").await?;
            Ok(lost.as_u64() > Some(0))
        })
        .await
    }

    /// Nothing is stored or read from here on.
    pub(crate) async fn hold_the_database(&self, name: &str) -> Result {
        let hold = HOLD.replace("{database}", name);
        self.browser.execute(&hold).await?;
        self.until("the database", async || {
            let held = self.browser.execute("return window.held === true").await?;
            Ok(held == Value::Bool(true))
        })
        .await
    }

    pub(crate) async fn release_the_database(&self) -> Result {
        self.browser.execute("window.released = true").await?;
        Ok(())
    }

    pub(crate) async fn reload_once_clear(&self, part: &str, field: &str) -> Result {
        let reload = RELOAD_ONCE_CLEAR.replace("{part}", part);
        self.browser
            .execute(&reload.replace("{field}", field))
            .await?;
        Ok(())
    }

    /// What a field holds.
    pub(crate) async fn value(&self, part: &str, field: &str) -> Result<String> {
        let read =
            format!("return document.querySelector('[aria-label={part}] [name={field}]').value;");
        self.text_of(&read).await
    }

    /// Waits until the form or card of a part says that it is storing, and its button that it cannot be used; or neither.
    pub(crate) async fn see_busy(&self, part: &str, busy: bool) -> Result {
        let read = format!(
            "const held = document.querySelector('[aria-label={part}] :is(form, .card)');
            return [held.ariaBusy, held.querySelector('button').ariaDisabled]
                .every((said) => (said === 'true') === {busy});"
        );
        self.until(&format!("busy: {busy} in {part}"), async || {
            Ok(self.browser.execute(&read).await? == Value::Bool(true))
        })
        .await
    }

    pub(crate) async fn listen(&self) -> Result {
        self.browser.execute(LISTEN).await?;
        Ok(())
    }

    /// Waits until the live region has said something that begins like this; what was said before that is past.
    pub(crate) async fn hear(&self, text: &str) -> Result {
        let heard = format!(
            "const at = window.said.findIndex((said) => said.startsWith('{text}'));
            if (at >= 0) window.said.splice(0, at + 1);
            return at >= 0;"
        );
        self.until(&format!("`{text}` to be said"), async || {
            Ok(self.browser.execute(&heard).await? == Value::Bool(true))
        })
        .await
    }

    pub(crate) async fn description(&self) -> Result<String> {
        self.text_of(DESCRIPTION).await
    }

    /// Scrolls until a part of the page is to be seen.
    pub(crate) async fn show(&self, part: &str) -> Result {
        let show = format!("document.querySelector('[aria-label=\"{part}\"]')?.scrollIntoView();");
        self.browser.execute(&show).await?;
        Ok(())
    }

    pub(crate) async fn wider_than_the_page(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.browser.execute(WIDE).await?)?)
    }

    async fn text_of(&self, script: &str) -> Result<String> {
        let read = self.browser.execute(script).await?;
        Ok(read.as_str().unwrap_or_default().to_owned())
    }
}
