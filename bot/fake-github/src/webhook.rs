//! Owns sending webhooks: the signature, the headers, the record of the answer. Never decides whom to tell.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ring::hmac;

use crate::server::Shared;

/// GitHub waits this long for an answer (a GHES waits 30 s).
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

/// `sha256=…`, the value of `X-Hub-Signature-256`.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex::encode(hmac::sign(&key, body).as_ref()))
}

/// Sends one delivery and records what came back: the status, or 0 when there was no answer.
pub(crate) async fn send(shared: &Arc<Shared>, id: u64) -> u16 {
    let Some(request) = request(shared, id) else { return 0 };
    let (status, answer) = match tokio::time::timeout(PATIENCE, exchange(&shared.http, request)).await {
        Ok(Ok(done)) => done,
        Ok(Err(why)) => (0, why),
        Err(_) => (0, "timed out".into()),
    };
    let mut model = shared.model();
    if let Some(record) = model.deliveries.records.get_mut(&id) {
        record.answer = Some((status, answer));
    }
    status
}

fn request(shared: &Arc<Shared>, id: u64) -> Option<Request<Full<Bytes>>> {
    let model = shared.model();
    let record = model.deliveries.records.get(&id)?;
    let app = model.apps.get(&record.app)?;
    let url = app.webhook_url.clone()?;
    let body = record.payload.clone().into_bytes();
    let mut request = Request::post(url)
        .header("Content-Type", "application/json")
        .header("Accept", "*/*")
        .header("User-Agent", "GitHub-Hookshot/fake000")
        .header("X-GitHub-Event", &record.event)
        .header("X-GitHub-Delivery", &record.guid)
        .header("X-GitHub-Hook-ID", app.hook_id.to_string())
        .header("X-GitHub-Hook-Installation-Target-Type", "integration")
        .header("X-GitHub-Hook-Installation-Target-ID", app.id.to_string())
        .header("X-GitHub-Enterprise-Host", model.url.trim_start_matches("http://"))
        .header("X-GitHub-Enterprise-Version", "3.19.0");
    if !app.webhook_secret.is_empty() {
        request = request.header("X-Hub-Signature-256", signature(&app.webhook_secret, &body));
    }
    request.body(Full::new(Bytes::from(body))).ok()
}

async fn exchange(http: &Http, request: Request<Full<Bytes>>) -> Result<(u16, String), String> {
    let answer = http.request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), 1 << 20).collect().await.map_err(|error| error.to_string())?;
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

/// Sends whatever is pending, forever, one after the other in order.
pub(crate) async fn deliver_as_they_come(shared: Arc<Shared>) {
    let wake = Arc::clone(&shared.model().deliveries.wake);
    loop {
        let next = shared.model().deliveries.pending.pop_front();
        match next {
            Some(id) => {
                send(&shared, id).await;
            }
            None => wake.notified().await,
        }
    }
}
