//! Notices between engines, in whatever tab or worker, by a `BroadcastChannel`.

use std::{cell::Cell, fmt, rc::Rc, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, channel::mpsc};
use js_sys::Reflect;
use send_wrapper::SendWrapper;
use serde::{Deserialize, Serialize};
use sync_core::{
    coordination::{Notice, Notices, PeerId, Peers},
    json,
    time::Clock,
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{BroadcastChannel, MessageEvent};

/// How many notices wait for a listener; then it is told that something has changed.
const WAITING: usize = 256;

/// What goes through the channel, as JSON text.
#[derive(Serialize, Deserialize)]
struct Message {
    from: PeerId,
    notice: Notice,
}

/// A channel that closes when this is dropped; none where the browser has none.
struct Channel(Option<BroadcastChannel>);

impl Channel {
    fn open(name: &str) -> Self {
        let exists = Reflect::has(&js_sys::global(), &"BroadcastChannel".into());
        Self(
            exists
                .unwrap_or(false)
                .then(|| BroadcastChannel::new(name).ok())
                .flatten(),
        )
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(channel) = &self.0 {
            channel.set_onmessage(None);
            channel.close();
        }
    }
}

/// The peers of the engines on a database.
pub(crate) struct ChannelPeers {
    name: String,
    sending: SendWrapper<Channel>,
}

impl ChannelPeers {
    pub(crate) fn new(database: &str) -> Self {
        let name = format!("sync-idb:{database}");
        Self {
            sending: SendWrapper::new(Channel::open(&name)),
            name,
        }
    }
}

impl fmt::Debug for ChannelPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelPeers")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Peers for ChannelPeers {
    fn send(&self, from: PeerId, notice: &Notice) {
        let Some(channel) = &self.sending.0 else {
            return;
        };
        let notice = notice.clone();
        let Ok(text) = serde_json::to_string(&Message { from, notice }) else {
            return;
        };
        if channel.post_message(&JsValue::from_str(&text)).is_err() {
            tracing::debug!("a notice is lost");
        }
    }

    fn listen(&self, as_peer: PeerId, _: Arc<dyn Clock>) -> Box<dyn Notices> {
        let channel = Channel::open(&self.name);
        let (mut sender, notices) = mpsc::channel(WAITING);
        let missed = Rc::new(Cell::new(false));
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let missed = Rc::clone(&missed);
            move |event: MessageEvent| {
                // A newer version may say what this one does not understand: a notice may be lost.
                let text = event.data().as_string().unwrap_or_default();
                let Ok(Message { from, notice }) = json::from_str(&text) else {
                    return;
                };
                if from != as_peer && sender.try_send(notice).is_err() {
                    missed.set(true);
                }
            }
        });
        if let Some(channel) = &channel.0 {
            channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        }
        Box::new(ChannelNotices {
            notices,
            listener: SendWrapper::new(Listener {
                _channel: channel,
                _on_message: on_message,
                missed,
            }),
        })
    }
}

/// The notices of the others.
struct ChannelNotices {
    notices: mpsc::Receiver<Notice>,
    listener: SendWrapper<Listener>,
}

/// What the channel calls; the channel goes first.
struct Listener {
    _channel: Channel,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    /// Whether there were more notices than wait.
    missed: Rc<Cell<bool>>,
}

impl fmt::Debug for ChannelNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelNotices")
    }
}

#[async_trait(?Send)]
impl Notices for ChannelNotices {
    async fn next(&mut self) -> Notice {
        if self.listener.missed.take() {
            return Notice::Changed;
        }
        match self.notices.next().await {
            Some(notice) => notice,
            // The sender lives as long as this does.
            None => std::future::pending().await,
        }
    }
}
