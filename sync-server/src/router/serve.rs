//! Listening, until it is enough.

use std::{future::Future, io, time::Duration};

use axum::{Router, middleware::from_fn};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{sleep, timeout},
};

use super::under_way::UnderWay;

/// How long requests that are under way may take to their end: 10 s, as long as most supervisors wait.
const GRACE: Duration = Duration::from_secs(10);

/// How long a request may still take to arrive, and an answer to leave: half a second. What is cut off is sent again
/// by its client, and was not begun.
const ARRIVAL: Duration = Duration::from_millis(500);

/// Serves until `shutdown` resolves; then takes no more connections, and returns when the requests under way are
/// answered, or after ten seconds.
///
/// A request is under way once it has arrived whole. A connection on which one has only begun to arrive is given half a
/// second for the rest, and one that is idle no time at all.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel();
    let under_way = UnderWay::new();
    let counted = under_way.clone();
    let router = router.layer(from_fn(move |request, next| {
        let counted = counted.clone();
        async move { counted.answer(request, next).await }
    }));
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver goes only together with the server.
        let _ = tell.send(());
    });
    let enough = async {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::select! {
            () = quiet(&under_way) => {}
            () = sleep(GRACE) => {}
        }
    };
    tokio::select! {
        served = async { server.await } => served,
        () = enough => Ok(()),
    }
}

/// Resolves when nothing has been under way for as long as a request may take to arrive.
async fn quiet(under_way: &UnderWay) {
    loop {
        under_way.none().await;
        if timeout(ARRIVAL, under_way.some()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use axum::{body::Bytes, routing::post};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        sync::Notify,
        task::JoinHandle,
        time::Instant,
    };

    use super::*;

    /// A server that answers with what it was sent, each time it is let.
    struct Echo {
        address: SocketAddr,
        arrived: Arc<Notify>,
        go_on: Arc<Notify>,
        stop: oneshot::Sender<()>,
        server: JoinHandle<io::Result<()>>,
    }

    async fn echo() -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gate = (arrived.clone(), go_on.clone());
        let answer = move |body: Bytes| async move {
            gate.0.notify_one();
            gate.1.notified().await;
            body
        };
        let router = Router::new().route("/", post(answer));
        let server = tokio::spawn(serve(listener, router, async {
            let _ = stopped.await;
        }));
        Echo {
            address,
            arrived,
            go_on,
            stop,
            server,
        }
    }

    async fn sent(address: SocketAddr, text: &str) -> TcpStream {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(text.as_bytes()).await.unwrap();
        connection
    }

    #[tokio::test]
    async fn a_request_that_arrived_whole_is_answered_however_long_the_others_were_waited_for() {
        let echo = echo().await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
        let mut whole = sent(echo.address, &format!("{head}milk")).await;
        let _half = sent(echo.address, &format!("{head}mi")).await;
        echo.arrived.notified().await;
        echo.stop.send(()).unwrap();
        tokio::time::pause();
        sleep(GRACE - ARRIVAL).await;
        tokio::time::resume();
        assert!(!echo.server.is_finished());
        echo.go_on.notify_one();
        let mut answer = String::new();
        whole.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("milk"), "{answer}");
        echo.server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_never_arrives_whole_is_not_waited_for() {
        for half in [
            "POST / HTT",
            "POST / HTTP/1.1\r\nhost: x\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nmi",
        ] {
            let echo = echo().await;
            let _half = sent(echo.address, half).await;
            echo.stop.send(()).unwrap();
            tokio::time::pause();
            let began = Instant::now();
            echo.server.await.unwrap().unwrap();
            assert!(began.elapsed() < 2 * ARRIVAL, "{half}");
            tokio::time::resume();
        }
    }

    #[tokio::test]
    async fn a_request_that_is_never_answered_is_given_up() {
        let echo = echo().await;
        let _stuck = sent(
            echo.address,
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        echo.arrived.notified().await;
        echo.stop.send(()).unwrap();
        tokio::time::pause();
        let began = Instant::now();
        echo.server.await.unwrap().unwrap();
        assert!(began.elapsed() >= GRACE);
    }
}
