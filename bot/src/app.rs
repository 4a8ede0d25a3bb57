//! The composition root's part that speaks to the machine: the listening socket, serving until told to stop.
//!
//! Invariant: nothing is decided here. Whoever stops it, requests that began are answered first.

pub mod data;
pub mod demo;
mod drain;
pub mod executor;
pub mod intake;
mod leftovers;
mod loops;
pub mod onlooker;
pub mod preview;
pub mod reads;
pub mod remote;
pub mod server;

use std::future::{Future, IntoFuture as _};
use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Listens on the address.
///
/// # Errors
/// The address is taken or not of this machine; says what to do.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (ip, port) = (address.ip(), address.port());
        match error.kind() {
            ErrorKind::AddrInUse => {
                let next = SocketAddr::new(ip, port.saturating_add(10));
                anyhow::anyhow!("port {port} on {ip} is in use\n  do: set listen (BUILDIT_LISTEN) to another, such as {next}")
            }
            ErrorKind::AddrNotAvailable => anyhow::anyhow!(
                "{ip} is no address of this machine\n  do: set listen (BUILDIT_LISTEN) to one of its own, or 0.0.0.0:{port} for all"
            ),
            ErrorKind::PermissionDenied => anyhow::anyhow!(
                "this user may not listen on port {port}\n  do: take a port above 1023 and let a proxy forward to it"
            ),
            _ => anyhow::anyhow!("{address} cannot be listened on: {error}"),
        }
    })
}

/// Serves until `stop` is ready, then answers what began.
///
/// # Errors
/// The socket failed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).with_graceful_shutdown(stop).into_future().await?)
}

/// Ready when the process gets INT or TERM.
///
/// # Errors
/// The system gives no signal handlers.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_with_what_to_do() {
        let first = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
        let taken = first.local_addr().expect("an address");
        let error = bind(taken).await.expect_err("taken").to_string();
        let error = error.replace(&taken.port().to_string(), "PORT");
        assert!(error.starts_with("port PORT on 127.0.0.1 is in use\n  do: set listen"), "{error}");
    }
}
