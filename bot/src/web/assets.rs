//! The style sheet and the one script, embedded, with the hash of their content in their names.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

struct Asset {
    name: String,
    kind: &'static str,
    body: &'static str,
}

fn asset(stem: &str, ending: &str, kind: &'static str, body: &'static str) -> Asset {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    Asset { name: format!("{stem}.{}.{ending}", hex::encode(&digest.as_ref()[..6])), kind, body }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    asset("style", "css", "text/css; charset=utf-8", include_str!("../../../templates/assets/style.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset("app", "js", "text/javascript; charset=utf-8", include_str!("../../../templates/assets/app.js"))
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("icon", "svg", "image/svg+xml", include_str!("../../../templates/assets/icon.svg")));

/// The paths for the layout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paths {
    /// The style sheet's file name.
    pub(super) style: &'static str,
    /// The script's file name.
    pub(super) script: &'static str,
    /// The icon's file name.
    pub(super) icon: &'static str,
}

/// The current names.
pub(super) fn paths() -> Paths {
    Paths { style: &STYLE.name, script: &SCRIPT.name, icon: &ICON.name }
}

/// `/assets/{name}`: a name with a hash never changes its content.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name);
    match found {
        Some(asset) => {
            let headers =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (headers, asset.body).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}
