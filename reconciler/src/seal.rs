//! Sealed values: each under its own random key, which a key of the port `Keys` wraps (AES-256-GCM twice).
//!
//! Invariant: what opens is what was sealed, for the same place; anything else is an error, never other bytes.
//!
//! Layout: version (1 byte), length of the wrapping key's id (1), that id, nonce (12), wrapped data key (48),
//! nonce (12), value and tag. The wrapped key is bound to all before it and to the place, the value to the place:
//! wrapping anew changes the head alone.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::ports::{Keys, KeysError};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY: usize = 32;
const TAG: usize = 16;

/// Why a value cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It was changed, sealed for another place, or sealed by another key of the same name.
    #[error("the sealed value is damaged, was moved, or was sealed by another key of the same name")]
    Damaged,
    /// The wrapping key is not there.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The wrapping key cannot be used.
    #[error("the key {id:?} must be 32 bytes in base64, and its name 255 bytes at most; mend the key store")]
    Key {
        /// Its id.
        id: String,
    },
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
}

/// Seals and opens values.
#[derive(Clone)]
pub struct Seal {
    keys: Arc<dyn Keys>,
    random: SystemRandom,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("current", &self.keys.current()).finish_non_exhaustive()
    }
}

impl Seal {
    /// Over these wrapping keys.
    pub fn new(keys: Arc<dyn Keys>) -> Self {
        Self { keys, random: SystemRandom::new() }
    }

    /// Seals a value for a place (any text that names where it will be kept) under the current key.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let data_key = Zeroizing::new(self.fresh::<KEY>()?);
        let room = NONCE_LEN + value.len() + TAG;
        let mut sealed = self.wrap(place, &self.keys.current(), data_key.as_slice(), room)?;
        self.encrypt(&cipher(data_key.as_slice())?, place.as_bytes(), value, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let Parts { head, id, wrapped, value } = Parts::of(sealed)?;
        let data_key = self.data_key(place, id, head, wrapped)?;
        decrypt(&cipher(&data_key)?, place.as_bytes(), value)
    }

    /// The key that seals now.
    pub fn current(&self) -> String {
        self.keys.current()
    }

    /// The same value with its own key wrapped by the key that seals now; `None` when it is already.
    pub fn rewrap(&self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let Parts { head, id, wrapped, value } = Parts::of(sealed)?;
        let current = self.keys.current();
        if id == current {
            return Ok(None);
        }
        let data_key = self.data_key(place, id, head, wrapped)?;
        let mut new = self.wrap(place, &current, &data_key, value.len())?;
        new.extend(value);
        Ok(Some(new))
    }

    /// Head and wrapped data key, with room for a value behind.
    fn wrap(&self, place: &str, id: &str, data_key: &[u8], room: usize) -> Result<Vec<u8>, SealError> {
        let wrapping = self.wrapping(id)?;
        let length = u8::try_from(id.len()).map_err(|_| SealError::Key { id: id.to_owned() })?;
        let mut sealed = Vec::with_capacity(2 + id.len() + NONCE_LEN + KEY + TAG + room);
        sealed.extend([VERSION, length]);
        sealed.extend(id.as_bytes());
        let bound = [&sealed, place.as_bytes()].concat();
        self.encrypt(&wrapping, &bound, data_key, &mut sealed)?;
        Ok(sealed)
    }

    fn data_key(&self, place: &str, id: &str, head: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        Ok(Zeroizing::new(decrypt(&self.wrapping(id)?, &[head, place.as_bytes()].concat(), wrapped)?))
    }

    fn wrapping(&self, id: &str) -> Result<LessSafeKey, SealError> {
        let text = self.keys.key(id)?;
        let wrong = || SealError::Key { id: id.to_owned() };
        let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret()).map_err(|_| wrong())?);
        cipher(&bytes).map_err(|_| wrong())
    }

    fn fresh<const N: usize>(&self) -> Result<[u8; N], SealError> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| SealError::Random)?;
        Ok(bytes)
    }

    /// Appends nonce, ciphertext and tag.
    fn encrypt(&self, key: &LessSafeKey, bound: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        let nonce = self.fresh::<NONCE_LEN>()?;
        out.extend(nonce);
        let at = out.len();
        out.extend(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Fails only for a value past the 64 GiB of the algorithm.
        let tag =
            key.seal_in_place_separate_tag(nonce, Aad::from(bound), &mut out[at..]).map_err(|_| SealError::Damaged)?;
        out.extend(tag.as_ref());
        Ok(())
    }
}

/// A sealed value, taken apart.
struct Parts<'a> {
    /// Version, length and id.
    head: &'a [u8],
    id: &'a str,
    wrapped: &'a [u8],
    value: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Result<Self, SealError> {
        let [VERSION, length, rest @ ..] = sealed else { return Err(SealError::Damaged) };
        let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or(SealError::Damaged)?;
        let (wrapped, value) = rest.split_at_checked(NONCE_LEN + KEY + TAG).ok_or(SealError::Damaged)?;
        let head = &sealed[..2 + id.len()];
        let id = std::str::from_utf8(id).map_err(|_| SealError::Damaged)?;
        Ok(Self { head, id, wrapped, value })
    }
}

/// The id of the key that a value was sealed by; `None` for what is no sealed value.
pub fn key_of(sealed: &[u8]) -> Option<&str> {
    Parts::of(sealed).ok().map(|parts| parts.id)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, SealError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Damaged)?))
}

fn decrypt(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
    let mut value = rest.to_vec();
    let length = key.open_in_place(nonce, Aad::from(bound), &mut value).map_err(|_| SealError::Damaged)?.len();
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;

    /// Named keys, each 32 times one byte; the first of the list seals.
    pub(crate) struct Ring {
        current: String,
        keys: BTreeMap<String, u8>,
    }

    impl Keys for Ring {
        fn current(&self) -> String {
            self.current.clone()
        }
        fn key(&self, id: &str) -> Result<SecretString, KeysError> {
            let byte = self.keys.get(id).ok_or_else(|| KeysError::Unknown { id: id.to_owned() })?;
            Ok(STANDARD.encode([*byte; KEY]).into())
        }
    }

    pub(crate) fn seal_with(keys: &[(&str, u8)]) -> Seal {
        let all = keys.iter().map(|(id, byte)| ((*id).to_owned(), *byte)).collect();
        Seal::new(Arc::new(Ring { current: keys[0].0.to_owned(), keys: all }))
    }

    #[test]
    fn every_flipped_bit_and_every_shorter_value_is_noticed() {
        let seal = seal_with(&[("k", 1)]);
        let sealed = seal.seal("plan/1", b"secret").unwrap();
        assert_eq!(seal.open("plan/1", &sealed).unwrap(), b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal.open("plan/1", &changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(seal.open("plan/1", &sealed[..length]).is_err(), "length {length}");
        }
        assert!(matches!(seal.open("plan/1", &[sealed, vec![0]].concat()), Err(SealError::Damaged)));
    }

    #[test]
    fn another_place_or_another_key_does_not_open() {
        let seal = seal_with(&[("k", 1)]);
        let sealed = seal.seal("plan/1", b"secret").unwrap();
        assert!(matches!(seal.open("plan/2", &sealed), Err(SealError::Damaged)));
        assert!(matches!(seal_with(&[("k", 2)]).open("plan/1", &sealed), Err(SealError::Damaged)));
        let unknown = seal_with(&[("other", 1)]).open("plan/1", &sealed);
        assert!(matches!(unknown, Err(SealError::Keys(KeysError::Unknown { ref id })) if id == "k"), "{unknown:?}");
    }

    #[test]
    fn an_old_key_reads_and_the_new_one_seals() {
        let old = seal_with(&[("old", 1)]).seal("a", b"x").unwrap();
        let both = seal_with(&[("new", 2), ("old", 1)]);
        assert_eq!(both.open("a", &old).unwrap(), b"x");
        let new = both.seal("a", b"y").unwrap();
        assert_eq!(&new[..5], b"\x01\x03new");
        assert_eq!(seal_with(&[("new", 2)]).open("a", &new).unwrap(), b"y");
    }

    #[test]
    fn a_value_is_wrapped_anew_for_its_place_only() {
        let old = seal_with(&[("old", 1)]).seal("a", b"x").unwrap();
        let (both, new) = (seal_with(&[("new", 2), ("old", 1)]), seal_with(&[("new", 2)]));
        let again = both.rewrap("a", &old).unwrap().unwrap();
        assert_eq!((key_of(&old), key_of(&again)), (Some("old"), Some("new")));
        assert_eq!(new.open("a", &again).unwrap(), b"x");
        assert_eq!(both.rewrap("a", &again).unwrap(), None);
        // Elsewhere, or with a changed head, it is nothing; a changed value stays one.
        assert!(matches!(both.rewrap("b", &old), Err(SealError::Damaged)));
        for at in 0..2 + 3 + NONCE_LEN + KEY + TAG {
            let mut changed = old.clone();
            changed[at] ^= 1;
            assert!(both.rewrap("a", &changed).is_err(), "byte {at}");
        }
        let mut changed = old.clone();
        *changed.last_mut().unwrap() ^= 1;
        let again = both.rewrap("a", &changed).unwrap().unwrap();
        assert!(matches!(new.open("a", &again), Err(SealError::Damaged)));
        assert!(matches!(new.rewrap("a", &old), Err(SealError::Keys(KeysError::Unknown { .. }))));
    }

    #[test]
    fn the_value_is_not_in_clear_and_never_sealed_alike() {
        let seal = seal_with(&[("k", 1)]);
        let (one, two) = (seal.seal("a", b"password").unwrap(), seal.seal("a", b"password").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(8).any(|part| part == b"password"));
    }
}
