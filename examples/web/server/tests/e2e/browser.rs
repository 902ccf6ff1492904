//! As much of WebDriver as a person needs to use a page: <https://www.w3.org/TR/webdriver2/>.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Result;

/// The name that the standard gives to an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What a driver refused: its short name for it, and the rest for whoever reads it.
#[derive(Debug)]
pub(crate) struct Refused {
    error: String,
    message: String,
}

impl Refused {
    /// Whether something was redrawn between being found and being used, or lies under something else.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.error.as_str(),
            "no such element"
                | "stale element reference"
                | "element click intercepted"
                | "element not interactable"
        )
    }

    fn unreadable(what: impl std::fmt::Display) -> Self {
        Self {
            error: "unreadable answer".to_owned(),
            message: what.to_string(),
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

impl std::error::Error for Refused {}

/// A browser with a profile of its own.
pub(crate) struct Browser {
    http: Client,
    session: String,
}

/// A part of a page, while it is not redrawn.
pub(crate) struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Browser {
    /// Starts one, by the driver at an address.
    pub(crate) async fn start(driver: &str, options: Value) -> Result<Self> {
        let http = Client::builder().no_proxy().build()?;
        let wanted = json!({ "capabilities": { "alwaysMatch": options } });
        let url = format!("{driver}/session");
        let started = send(&http, Method::POST, &url, Some(wanted)).await?;
        let id = text(&started["sessionId"])?;
        let session = format!("{url}/{id}");
        Ok(Self { http, session })
    }

    pub(crate) async fn open(&self, url: &str) -> Result {
        self.post("url", json!({ "url": url })).await?;
        Ok(())
    }

    pub(crate) async fn reload(&self) -> Result {
        self.post("refresh", json!({})).await?;
        Ok(())
    }

    /// What a script returns.
    pub(crate) async fn execute(&self, script: &str) -> Result<Value> {
        let script = json!({ "script": script, "args": [] });
        Ok(self.post("execute/sync", script).await?)
    }

    pub(crate) async fn find(&self, xpath: &str) -> Result<Element<'_>, Refused> {
        let search = json!({ "using": "xpath", "value": xpath });
        let found = self.post("element", search).await?;
        let id = text(&found[ELEMENT])?;
        Ok(Element { browser: self, id })
    }

    /// What the keyboard types into.
    pub(crate) async fn focused(&self) -> Result<Element<'_>, Refused> {
        let found = self.ask("element/active").await?;
        let id = text(&found[ELEMENT])?;
        Ok(Element { browser: self, id })
    }

    pub(crate) async fn tab(&self) -> Result<String> {
        Ok(text(&self.ask("window").await?)?)
    }

    pub(crate) async fn open_tab(&self) -> Result<String> {
        let opened = self.post("window/new", json!({ "type": "tab" })).await?;
        Ok(text(&opened["handle"])?)
    }

    pub(crate) async fn show_tab(&self, tab: &str) -> Result {
        self.post("window", json!({ "handle": tab })).await?;
        Ok(())
    }

    pub(crate) async fn close_tab(&self) -> Result {
        let url = format!("{}/window", self.session);
        send(&self.http, Method::DELETE, &url, None).await?;
        Ok(())
    }

    /// Shows the page in a size, and as in the light or in the dark: Chromium's own commands, as its windows cannot be
    /// as narrow as a phone.
    pub(crate) async fn look(&self, width: u32, height: u32, scheme: &str) -> Result {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        for (command, parameters) in [
            ("Emulation.setDeviceMetricsOverride", size),
            ("Emulation.setEmulatedMedia", scheme),
        ] {
            let command = json!({ "cmd": command, "params": parameters });
            self.post("goog/cdp/execute", command).await?;
        }
        Ok(())
    }

    /// A picture of what is to be seen, as a PNG.
    pub(crate) async fn screenshot(&self) -> Result<Vec<u8>> {
        let picture = text(&self.ask("screenshot").await?)?;
        Ok(BASE64_STANDARD.decode(picture)?)
    }

    async fn ask(&self, what: &str) -> Result<Value, Refused> {
        let url = format!("{}/{what}", self.session);
        send(&self.http, Method::GET, &url, None).await
    }

    async fn post(&self, command: &str, body: Value) -> Result<Value, Refused> {
        let url = format!("{}/{command}", self.session);
        send(&self.http, Method::POST, &url, Some(body)).await
    }
}

impl Element<'_> {
    pub(crate) async fn click(&self) -> Result<(), Refused> {
        self.post("click", json!({})).await
    }

    pub(crate) async fn send_keys(&self, keys: &str) -> Result<(), Refused> {
        self.post("value", json!({ "text": keys })).await
    }

    pub(crate) async fn text(&self) -> Result<String, Refused> {
        let path = format!("element/{}/text", self.id);
        text(&self.browser.ask(&path).await?)
    }

    async fn post(&self, command: &str, body: Value) -> Result<(), Refused> {
        let path = format!("element/{}/{command}", self.id);
        self.browser.post(&path, body).await.map(drop)
    }
}

/// Asks the driver for one thing, and takes its answer out of its envelope.
async fn send(
    http: &Client,
    method: Method,
    url: &str,
    body: Option<Value>,
) -> Result<Value, Refused> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = async { request.send().await?.json::<Value>().await };
    let answer = answer.await.map_err(Refused::unreadable)?;
    let value = &answer["value"];
    match value["error"].as_str() {
        None => Ok(value.clone()),
        Some(error) => Err(Refused {
            error: error.to_owned(),
            message: value["message"].as_str().unwrap_or_default().to_owned(),
        }),
    }
}

fn text(value: &Value) -> Result<String, Refused> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Refused::unreadable(value))
}
