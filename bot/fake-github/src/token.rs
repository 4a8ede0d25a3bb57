//! Owns who a caller is: personal tokens, installation tokens and an app's JWT. Never decides what they may do.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::KeyPair as _;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::{Caller, Token};
use crate::rest::Refusal;
use crate::shape;

/// The longest life of a JWT, in seconds.
const JWT_LIFE: i64 = 600;
/// How far the clocks may differ, in seconds.
const DRIFT: i64 = 60;

/// Reads the `Authorization` header. Refusals are GitHub's 401s.
pub(crate) fn caller(model: &Model, header: Option<&str>) -> Result<Caller, Refusal> {
    let Some(header) = header else { return Ok(Caller::Anonymous) };
    let (scheme, value) = header.split_once(' ').ok_or_else(bad)?;
    let value = value.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" if value.matches('.').count() == 2 => app_of_jwt(model, value),
        "bearer" | "token" => by_token(model, value),
        "basic" => {
            let text = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
            let (user, password) = text.split_once(':').ok_or_else(bad)?;
            let caller = by_token(model, password)?;
            match &caller {
                // A person's name must fit the token; an installation's token goes with `x-access-token`.
                Caller::Person(id) if !model.login(*id).eq_ignore_ascii_case(user) && user != "x-access-token" => {
                    Err(bad())
                }
                Caller::Installation { .. } if user != "x-access-token" => Err(bad()),
                _ => Ok(caller),
            }
        }
        _ => Err(bad()),
    }
}

fn bad() -> Refusal {
    Refusal::new(401, "Bad credentials")
}

fn by_token(model: &Model, value: &str) -> Result<Caller, Refusal> {
    match model.tokens.get(value) {
        Some(Token::Person { account }) => Ok(Caller::Person(*account)),
        Some(Token::Installation { installation, repositories, permissions, expires_at })
            if *expires_at > model.now() =>
        {
            Ok(Caller::Installation {
                installation: *installation,
                repositories: repositories.clone(),
                permissions: permissions.clone(),
            })
        }
        _ => Err(bad()),
    }
}

/// Whether a caller's token reaches a repository at all.
pub(crate) fn reaches(model: &Model, caller: &Caller, repository: u64) -> bool {
    let Caller::Installation { installation, repositories, .. } = caller else { return false };
    let held = model.installations.get(installation).is_some_and(|it| it.repositories.contains(&repository));
    held && repositories.as_ref().is_none_or(|narrowed| narrowed.contains(&repository))
}

/// Ends the calling installation's tokens that look like the one in use.
pub(crate) fn revoke(model: &mut Model, caller: &Caller) {
    let Caller::Installation { installation, repositories, permissions } = caller else { return };
    model.tokens.retain(|_, token| match token {
        Token::Installation { installation: i, repositories: r, permissions: p, .. } => {
            i != installation || r != repositories || p != permissions
        }
        Token::Person { .. } => true,
    });
}

/// Verifies an app's JWT by GitHub's rules: RS256, `iss` a known app, not expired, alive for ten minutes at most.
fn app_of_jwt(model: &Model, jwt: &str) -> Result<Caller, Refusal> {
    let undecodable = || Refusal::new(401, "A JSON web token could not be decoded");
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(undecodable()) };
    let json =
        |part: &str| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (head, body) = (json(header).ok_or_else(undecodable)?, json(claims).ok_or_else(undecodable)?);
    if head["alg"] != "RS256" {
        return Err(undecodable());
    }
    let issuer = body["iss"].as_str().map(str::to_owned).or_else(|| body["iss"].as_u64().map(|id| id.to_string()));
    let issuer = issuer.ok_or_else(|| Refusal::new(401, "Missing 'issuer' claim ('iss') in assertion"))?;
    let app = model.apps.values().find(|app| app.id.to_string() == issuer || shape::app::client_id(app) == issuer);
    let app = app.ok_or_else(|| Refusal::new(401, "'Issuer' claim ('iss') must be an Integer"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| undecodable())?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.public_key);
    key.verify(format!("{header}.{claims}").as_bytes(), &signature).map_err(|_| undecodable())?;
    let now = model.now().div_euclid(1_000_000);
    let expires = body["exp"].as_i64().ok_or_else(|| Refusal::new(401, "Missing 'Expiration time' claim ('exp')"))?;
    let issued =
        body["iat"].as_i64().ok_or_else(|| Refusal::new(401, "Missing 'issued at' claim ('iat') in assertion"))?;
    if issued > now + DRIFT {
        return Err(Refusal::new(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if expires <= now {
        return Err(Refusal::new(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ));
    }
    if expires > now + JWT_LIFE + DRIFT || expires - issued > JWT_LIFE + DRIFT {
        return Err(Refusal::new(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(Caller::App(app.id))
}

/// The public half of a private key in PEM (`RSA PRIVATE KEY` or `PRIVATE KEY`), as DER.
pub(crate) fn public_key(pem: &str) -> Result<Vec<u8>, Error> {
    let wrong = |why: &str| {
        Error::Use(format!("the app's private key cannot be read: {why}; give an RSA key of 2048 bits or more in PEM"))
    };
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(body).map_err(|_| wrong("it is not base64"))?;
    let pair = RsaKeyPair::from_der(&der)
        .or_else(|_| RsaKeyPair::from_pkcs8(&der))
        .map_err(|error| wrong(&error.to_string()))?;
    Ok(pair.public_key().as_ref().to_vec())
}
