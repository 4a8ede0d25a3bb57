//! The App's key, its short-lived JSON web tokens, and what a token may do.
//!
//! Invariant: a token is minted for one repository (or none) with the least permissions; nothing here reads a
//! clock, and no secret is in `Debug` or an error.

use std::fmt;
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::signature::{self, Signer};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use model::time::Timestamp;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde::Serialize;

/// The private key of the App.
#[derive(Clone)]
pub struct AppKey {
    app_id: u64,
    key: EncodingKey,
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppKey").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not a PEM file with an RSA private key of 2048 bits or more.
    #[error("not an RSA private key in PEM form of at least 2048 bits, as GitHub gives it to download ({reason})")]
    Key {
        /// What is wrong with it.
        reason: String,
    },
    /// It could not sign.
    #[error("the App key could not sign")]
    Sign(#[source] JwtError),
}

#[derive(Serialize)]
struct Claims {
    iat: i64,
    exp: i64,
    iss: String,
}

impl AppKey {
    /// Reads the key that GitHub gave for the App of that id.
    pub fn from_pem(app_id: u64, pem: &[u8]) -> Result<Self, AuthError> {
        install_provider();
        let refuse = |reason: String| AuthError::Key { reason };
        let key = EncodingKey::from_rsa_pem(pem).map_err(|error| refuse(error.to_string()))?;
        RsaKeyPair::from_der(key.as_bytes()).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { app_id, key })
    }

    /// The App's id.
    pub fn app_id(&self) -> u64 {
        self.app_id
    }

    /// The fingerprint as GitHub shows it beside the key in the App's settings: `SHA256:` and base64.
    pub fn fingerprint(&self) -> Result<String, AuthError> {
        let pair = RsaKeyPair::from_der(self.key.as_bytes());
        let pair = pair.map_err(|error| AuthError::Key { reason: error.to_string() })?;
        let digest = digest::digest(&digest::SHA256, &public_key_info(pair.public().as_ref()));
        Ok(format!("SHA256:{}", STANDARD.encode(digest)))
    }

    /// A token for the App itself: begins a minute ago (clocks differ), ends in nine minutes (GitHub's limit is
    /// ten).
    pub fn jwt(&self, now: Timestamp) -> Result<String, AuthError> {
        let seconds = now.seconds();
        let claims = Claims { iat: seconds - 60, exp: seconds + 540, iss: self.app_id.to_string() };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key).map_err(AuthError::Sign)
    }
}

/// `SubjectPublicKeyInfo` around an `RSAPublicKey`, in DER.
fn public_key_info(key: &[u8]) -> Vec<u8> {
    // rsaEncryption, with NULL as its parameters.
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    // A bit string begins with how many bits of its last byte are not used.
    let bits = der(0x03, &[&[0], key].concat());
    der(0x30, &[&ALGORITHM[..], &bits].concat())
}

/// A DER value; its length in the long form of two bytes where it is needed (keys are shorter than 64 KiB).
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let [.., high, low] = length;
    let mut out = match value.len() {
        0..=127 => vec![tag, low],
        128..=255 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    out.extend(value);
    out
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Names and rights.
    Metadata,
    /// Pull requests, branches and comments.
    Read,
    /// Check runs.
    Checks,
    /// Comments and reactions on pull requests.
    Comments,
    /// `git fetch`.
    Git,
    /// Commit statuses.
    Statuses,
    /// Members of teams.
    Members,
    /// Classic branch protection.
    Administration,
    /// Issues of ours.
    Issues,
    /// Deployments of ours.
    Deployments,
    /// Merging by the API.
    Merge,
    /// What is in a merge queue.
    Queue,
    /// Putting into a merge queue.
    Enqueue,
}

impl Scope {
    /// The permissions, as the API names them. `metadata: read` comes with each.
    pub(crate) fn permissions(self) -> serde_json::Value {
        match self {
            Scope::Metadata => serde_json::json!({"metadata": "read"}),
            Scope::Read => serde_json::json!({"contents": "read", "metadata": "read", "pull_requests": "read"}),
            Scope::Checks => serde_json::json!({"checks": "write", "metadata": "read"}),
            Scope::Comments => serde_json::json!({"metadata": "read", "pull_requests": "write"}),
            Scope::Git => serde_json::json!({"contents": "read", "metadata": "read"}),
            Scope::Statuses => serde_json::json!({"metadata": "read", "statuses": "read"}),
            Scope::Members => serde_json::json!({"members": "read", "metadata": "read"}),
            Scope::Issues => serde_json::json!({"issues": "write", "metadata": "read"}),
            Scope::Deployments => serde_json::json!({"deployments": "write", "metadata": "read"}),
            Scope::Merge => {
                serde_json::json!({"contents": "write", "metadata": "read", "pull_requests": "write"})
            }
            Scope::Queue => {
                serde_json::json!({
                    "contents": "read", "merge_queues": "read", "metadata": "read", "pull_requests": "read",
                })
            }
            Scope::Enqueue => {
                serde_json::json!({
                    "contents": "write", "merge_queues": "write", "metadata": "read", "pull_requests": "write",
                })
            }
            Scope::Administration => serde_json::json!({"administration": "read", "metadata": "read"}),
        }
    }
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    key_utils: KeyUtils::new_unimplemented(),
};

fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else's provider signs RS256 as well.
        let _ = PROVIDER.install_default();
    });
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, JwtError> {
    if *algorithm != Algorithm::RS256 || key.family() != AlgorithmFamily::Rsa {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingRs256(key.clone())))
}

struct RingRs256(EncodingKey);

impl Signer<Vec<u8>> for RingRs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let pair = RsaKeyPair::from_der(self.0.as_bytes()).map_err(|_| signature::Error::new())?;
        let mut made = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut made).map_err(|_| signature::Error::new())?;
        Ok(made)
    }
}

impl JwtSigner for RingRs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::manifest;

    const ALL: [Scope; 13] = [
        Scope::Metadata,
        Scope::Read,
        Scope::Checks,
        Scope::Comments,
        Scope::Git,
        Scope::Statuses,
        Scope::Members,
        Scope::Administration,
        Scope::Issues,
        Scope::Deployments,
        Scope::Merge,
        Scope::Queue,
        Scope::Enqueue,
    ];

    #[test]
    fn no_token_is_for_more_than_the_app_asks_for() {
        for scope in ALL {
            let wanted = scope.permissions();
            for (name, level) in wanted.as_object().expect("an object") {
                let held = manifest::permissions().into_iter().find(|(held, _)| held == name).map(|(_, held)| held);
                let enough = name == "metadata" || held == Some("write") || held == level.as_str();
                assert!(enough, "{scope:?} wants {name}: {level}, and docs/operations.md asks for {held:?}");
            }
        }
    }

    #[test]
    fn the_fingerprint_is_the_one_that_openssl_computes() {
        // openssl rsa -in FILE -pubout -outform DER | openssl sha256 -binary | openssl base64
        let pem = include_bytes!("../../fake-github/demo-only-app-key.pem");
        let key = AppKey::from_pem(1, pem).expect("a key");
        assert_eq!(key.fingerprint().expect("a public half"), "SHA256:HsRod6wDuhtwwUK1pmZI4Pi1uDPLwJpW9MOYhxPPWk4=");
    }
}
